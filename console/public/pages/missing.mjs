import {link, make} from '../dom.mjs';

export function show(view) {
  view.title('There is no such page');
  view.main.append(
    make('p', {}, 'Go to the ', link('/', 'overview'), ' or search the ', link('/events', 'events'), '.'),
  );
}
