// What happens, as it happens.
import {ask} from '../api.mjs';
import {card, count, field, make, mark, severity, soft, stamp, trouble, uuid, visible} from '../dom.mjs';
import {eventLink} from './events.mjs';

const MOST = 200;

export function show(view, {session, query}) {
  view.title('Feed');
  const organization = make('select', {id: 'organization'}, session.reads_all && make('option', {value: ''}, 'All'));
  const least = make(
    'select',
    {id: 'severity'},
    make('option', {value: ''}, 'Any'),
    ['medium', 'high', 'critical'].map(name =>
      make('option', {value: name}, name === 'critical' ? name : `${name} and above`),
    ),
  );
  const state = make('p', {id: 'state', role: 'status'}, mark('none', 'Connecting …'));
  const pause = make('button', {type: 'button', class: 'plain', 'aria-pressed': 'false'}, 'Pause');
  const list = make('ol', {class: 'timeline feed', id: 'feed', 'aria-label': 'Events, the newest first'});
  const empty = soft('Nothing yet. Events appear here as they are committed.');
  view.main.append(
    make(
      'div',
      {class: 'card search'},
      make('div', {class: 'fields'}, field('Organization', organization), field('Severity', least)),
      make('div', {class: 'buttons'}, pause, state),
    ),
    card('Events', empty, list),
  );

  let source = null;
  let place = null; // where it goes on after a pause
  let received = 0;
  const known = new Set();
  let begun;
  view.wait(
    new Promise(resolve => {
      begun = resolve;
    }),
  );
  const connect = () => {
    source?.close();
    const parameters = Object.entries({organization: organization.value, severity: least.value, after: place}).filter(
      ([, value]) => value,
    );
    source = new EventSource(`/api/feed${parameters.length > 0 ? `?${new URLSearchParams(parameters)}` : ''}`);
    const keep = ({lastEventId}) => {
      if (lastEventId !== '') place = lastEventId;
    };
    source.addEventListener('begin', event => {
      keep(event);
      state.replaceChildren(mark('good', 'Live'));
      begun();
    });
    source.addEventListener('place', keep);
    source.addEventListener('event', event => {
      keep(event);
      add(JSON.parse(event.data));
    });
    source.addEventListener('trouble', ({data}) =>
      state.replaceChildren(mark('bad', ''), visible(JSON.parse(data).error)),
    );
    source.addEventListener('error', () => {
      // Closed for good: the server refused, perhaps for want of a session.
      if (source.readyState === EventSource.CLOSED) {
        state.replaceChildren(mark('bad', 'Not connected'));
        begun();
        ask('/organizations', {}, view.signal).then(
          () =>
            setTimeout(() => !view.signal.aborted && pause.getAttribute('aria-pressed') === 'false' && connect(), 3000),
          error => error.name !== 'AbortError' && state.replaceChildren(trouble(error, connect)),
        );
      } else {
        state.replaceChildren(mark('wait', 'Connection lost. Going on where it ended …'));
      }
    });
  };
  const add = event => {
    const key = `${event.organization_id} ${event.sequence}`;
    if (known.has(key)) return;
    known.add(key);
    if (known.size > 20 * MOST) known.delete(known.values().next().value);
    empty.hidden = true;
    received++;
    list.prepend(
      make(
        'li',
        {class: event.severity, 'data-key': key},
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
          visible(event.entity_type),
          ' ',
          uuid(event.entity_id),
          ` by ${event.actor_type} `,
          uuid(event.actor_id),
          ', ',
          uuid(event.organization_id),
          ` no. ${event.sequence}`,
        ),
      ),
    );
    if (list.children.length > MOST) list.lastChild.remove();
    state.replaceChildren(mark('good', `Live: ${count(received, 'event')} since you look`));
  };
  const anew = () => {
    place = null;
    connect();
  };
  organization.addEventListener('change', anew);
  least.addEventListener('change', anew);
  pause.addEventListener('click', () => {
    const paused = pause.getAttribute('aria-pressed') === 'true';
    pause.setAttribute('aria-pressed', String(!paused));
    pause.textContent = paused ? 'Pause' : 'Go on';
    if (paused) return connect();
    source.close();
    state.replaceChildren(mark('none', 'Paused. It goes on where it stopped.'));
  });
  view.onLeave(() => source?.close());
  ask('/organizations', {}, view.signal)
    .then(
      organizations => {
        for (const {organization_id: id, events} of organizations)
          organization.append(
            make(
              'option',
              {value: id, selected: query.organization === id},
              `${id.slice(0, 8)}… ${id.slice(-4)} (${count(events, 'event')})`,
            ),
          );
      },
      () => {},
    )
    .then(() => !view.signal.aborted && connect());
}
