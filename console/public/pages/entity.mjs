// What happened to an entity, as a timeline, and how its row was at a moment.
import {ask} from '../api.mjs';
import {card, grouped, make, mark, offerMore, severity, soft, stamp, trouble, uuid, visible} from '../dom.mjs';
import {canonical, parse} from '../exact.mjs';
import {changeTable, changesOf, valueOf, valueTable} from '../values.mjs';
import {eventLink} from './events.mjs';

export function show(view, {parameters: [type, id]}) {
  view.title(`${type.split('.').at(-1)} ${id.slice(0, 8)}…`);
  const row = make('div', {});
  const timeline = make('div', {});
  view.main.append(make('p', {class: 'soft'}, visible(type), ' ', uuid(id, true)));
  const rowCard = card('The row', row);
  view.main.append(rowCard, card('What happened, the newest first', timeline));
  const path = `/entities/${encodeURIComponent(type)}/${encodeURIComponent(id)}`;
  row.append(make('p', {class: 'loading'}, 'Loading …'));

  view
    .load(
      timeline,
      signal => ask(path, {}, signal),
      told => {
        const list = make('ol', {class: 'timeline'});
        const more = make('div', {class: 'more'});
        const all = [];
        const append = ({events, cursor}) => {
          for (const event of events) {
            event.payload = event.payload === null ? null : parse(event.payload);
            event.personal = event.personal === null ? null : parse(event.personal);
            all.push(event);
            list.append(item(event));
          }
          offerMore(more, cursor, 'Older events', async () => append(await ask(path, {cursor}, view.signal)));
        };
        append(told);
        if (all.length === 0) {
          row.replaceChildren(soft('There is no event about it that your role may read.'));
          return soft('Nothing that your role may read.');
        }
        slider(view, row, path, all.slice().reverse());
        return [list, more];
      },
    )
    .then(told => told ?? row.replaceChildren(soft('–')));
}

const isCapture = event => event.payload !== null && 'spine_capture' in event.payload;

function item(event) {
  return make(
    'li',
    {class: event.severity},
    make(
      'div',
      {class: 'head'},
      make('h3', {}, eventLink(event, visible(event.event_type))),
      severity(event.severity),
      stamp(event.timestamp),
    ),
    make(
      'p',
      {class: 'soft'},
      `${event.actor_type} `,
      uuid(event.actor_id),
      ', recorded by ',
      visible(event.recorded_by),
      `, no. ${grouped(event.sequence)} of `,
      uuid(event.organization_id),
    ),
    said(event),
  );
}

function said(event) {
  const gone = [event.payload_gone && 'payload', event.personal_gone && 'personal part']
    .filter(Boolean)
    .map(name => make('p', {}, mark('none', `The ${name} was erased, or is withheld from you.`)));
  if (!isCapture(event))
    return [
      event.payload !== null && Object.keys(event.payload).length > 0 && valueTable(event.payload, 'Payload'),
      event.personal !== null && valueTable(event.personal, 'Personal part'),
      gone,
    ];
  const image = side =>
    event.payload[side] === undefined && event.personal?.[side] === undefined
      ? null
      : {...event.payload[side], ...event.personal?.[side]};
  const changes = changesOf(image('before'), image('after'));
  return [
    changes.length === 0 ? soft('No column that is shown changed.') : changeTable(changes, 'What changed'),
    event.payload.omitted !== undefined && make('p', {}, 'Left out of the event: ', valueOf(event.payload.omitted)),
    gone,
  ];
}

// The row as of each event that is loaded, from the oldest to the newest.
function slider(view, container, path, events) {
  const captured = events.filter(isCapture);
  if (captured.length === 0) {
    container.replaceChildren(soft('These events do not come from a captured table, so there is no row to show.'));
    return;
  }
  const range = make('input', {
    id: 'moment',
    type: 'range',
    min: '0',
    max: String(captured.length - 1),
    value: String(captured.length - 1),
    step: '1',
  });
  const when = make('output', {for: 'moment'});
  const shown = make('div', {'aria-live': 'polite'});
  let newest = 0;
  let before = null;
  const look = async () => {
    const number = ++newest;
    const event = captured[range.value];
    range.setAttribute('aria-valuetext', `${event.timestamp.slice(0, 19)} UTC, ${event.event_type}`);
    when.replaceChildren('as of ', stamp(event.timestamp), `, event ${Number(range.value) + 1} of ${captured.length}`);
    shown.setAttribute('aria-busy', 'true');
    try {
      const {row, untold, hint} = await ask(
        `${path}/as-of`,
        {moment: event.timestamp.replace(' ', 'T').replace(/\+00$/, 'Z')},
        view.signal,
      );
      if (number !== newest) return;
      const now = row === null ? null : parse(row);
      if (untold) shown.replaceChildren(make('p', {}, mark('wait', ''), visible(untold)), soft(visible(hint ?? '')));
      else if (now === null) shown.replaceChildren(soft('There was no such row at that moment.'));
      else {
        const old = before;
        shown.replaceChildren(
          make(
            'table',
            {class: 'values row'},
            make('caption', {class: 'unseen'}, 'The row'),
            make(
              'tbody',
              {},
              Object.entries(now).map(([name, value]) => {
                const differs = old !== null && (old[name] === undefined || canonical(old[name]) !== canonical(value));
                return make(
                  'tr',
                  {class: differs ? 'changed' : undefined},
                  make('th', {scope: 'row'}, visible(name)),
                  make(
                    'td',
                    {},
                    valueOf(value),
                    differs && make('span', {class: 'soft'}, ' differs from the moment before'),
                  ),
                );
              }),
            ),
          ),
        );
      }
      before = now;
    } catch (error) {
      if (number === newest && error.name !== 'AbortError') shown.replaceChildren(trouble(error, look));
    } finally {
      shown.removeAttribute('aria-busy');
    }
  };
  range.addEventListener('input', look);
  container.replaceChildren(
    make('div', {class: 'slider'}, make('label', {for: 'moment'}, 'Moment'), range, when),
    shown,
  );
  look();
}
