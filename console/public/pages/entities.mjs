// Finding an entity by its type and id.
import {field, make, soft} from '../dom.mjs';

export function show(view, {go}) {
  view.title('Entities');
  const type = make('input', {
    id: 'type',
    type: 'text',
    required: true,
    autocomplete: 'off',
    spellcheck: 'false',
    pattern: '([a-z][a-z0-9_]*\\.)?[a-z][a-z0-9_]*',
  });
  const id = make('input', {
    id: 'id',
    type: 'text',
    required: true,
    autocomplete: 'off',
    spellcheck: 'false',
    pattern: '\\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\\s*',
  });
  view.main.append(
    make(
      'form',
      {
        class: 'card search',
        role: 'search',
        'aria-label': 'Entity',
        onsubmit: event => {
          event.preventDefault();
          go(`/entities/${encodeURIComponent(type.value.trim())}/${encodeURIComponent(id.value.trim().toLowerCase())}`);
        },
      },
      make(
        'div',
        {class: 'fields'},
        field('Entity type', type, 'As in employee, or hcm.employee.'),
        field('Id', id, 'A UUID, as in 00000000-0000-4000-8000-0000000000e1.'),
      ),
      make('div', {class: 'buttons'}, make('button', {type: 'submit'}, 'Show its history')),
    ),
    soft('Or search the events, and follow the entity of one.'),
  );
}
