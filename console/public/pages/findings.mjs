import {ask} from '../api.mjs';
import {card, make, soft} from '../dom.mjs';
export function show(view) {
  view.title('Findings and risk');
  const body = make('div', {});
  view.main.append(body);
  view.load(body, signal => ask('/findings', {}, signal), () => card('The watch', soft('not installed')));
}
