// The audit log: searched, and turned page by page.
import {ask} from '../api.mjs';
import {
  card,
  count,
  field,
  grouped,
  link,
  make,
  severity,
  soft,
  stamp,
  table,
  trouble,
  uuid,
  visible,
} from '../dom.mjs';

const FIELDS = ['organization', 'entity', 'actor', 'type', 'severity', 'from', 'to'];

export const eventLink = ({organization_id, sequence}, ...text) =>
  link(`/events/${organization_id}/${sequence}`, ...text);

export const eventColumns = [
  ['Event', event => eventLink(event, visible(event.event_type))],
  ['Severity', event => severity(event.severity)],
  ['When', event => stamp(event.timestamp)],
  [
    'Entity',
    event =>
      link(
        `/entities/${event.domain}.${event.entity_type}/${event.entity_id}`,
        visible(event.entity_type),
        ' ',
        uuid(event.entity_id),
      ),
  ],
  ['Actor', event => [`${event.actor_type} `, uuid(event.actor_id)]],
  [
    'Organization',
    event => [uuid(event.organization_id), make('span', {class: 'soft'}, ` no. ${grouped(event.sequence)}`)],
  ],
];

export function show(view, {session, query, go}) {
  view.title('Events');
  const organization = make('select', {id: 'organization'}, session.reads_all && make('option', {value: ''}, 'All'));
  const input = (id, attributes = {}) =>
    make('input', {id, type: 'text', value: query[id] ?? '', autocomplete: 'off', spellcheck: 'false', ...attributes});
  const from = input('from', {type: 'datetime-local', step: '1'});
  const to = input('to', {type: 'datetime-local', step: '1'});
  const severities = make(
    'select',
    {id: 'severity'},
    make('option', {value: ''}, 'Any'),
    ['medium', 'high', 'critical'].map(name =>
      make(
        'option',
        {value: name, selected: query.severity === name},
        name === 'critical' ? name : `${name} and above`,
      ),
    ),
  );
  const form = make(
    'form',
    {
      class: 'card search',
      role: 'search',
      'aria-label': 'Events',
      onsubmit: event => {
        event.preventDefault();
        const given = FIELDS.map(name => [name, form.querySelector(`#${name}`).value.trim()]).filter(
          ([, value]) => value !== '',
        );
        go(`/events${given.length > 0 ? `?${new URLSearchParams(given)}` : ''}`);
      },
    },
    make(
      'div',
      {class: 'fields'},
      field('Organization', organization),
      field('Entity', input('entity', {placeholder: 'UUID'})),
      field('Actor', input('actor', {placeholder: 'UUID'})),
      field('Type', input('type', {placeholder: 'hcm, hcm.employee …'})),
      field('Severity', severities),
      field('From (UTC)', from),
      field('To (UTC)', to),
    ),
    make('div', {class: 'buttons'}, make('button', {type: 'submit'}, 'Search'), link('/events', 'Clear')),
  );
  const results = make('div', {});
  view.main.append(form, card('Found, the newest first', results));

  const choose = organizations => {
    for (const {organization_id: id, events} of organizations) {
      organization.append(
        make(
          'option',
          {value: id, selected: query.organization === id},
          `${id.slice(0, 8)}… ${id.slice(-4)} (${count(events, 'event')})`,
        ),
      );
    }
    if (query.organization && ![...organization.options].some(({value}) => value === query.organization)) {
      organization.append(make('option', {value: query.organization, selected: true}, query.organization));
    }
  };
  const getOrganizations = ask('/organizations', {}, view.signal).then(choose, () => choose([]));

  const asked = {...query};
  view.load(
    results,
    async signal => {
      if (!session.reads_all && !asked.organization && !asked.entity) {
        await getOrganizations;
        asked.organization = organization.value;
        if (!asked.organization) return {events: [], cursor: null, searched: null};
      }
      return searchOn(asked, undefined, signal);
    },
    told => {
      const body = make('div', {});
      const more = make('div', {class: 'more'});
      append(told);
      return [body, more];

      function append({events, cursor, searched}) {
        if (events.length > 0) body.append(table('Events', eventColumns, events));
        else if (body.children.length === 0 && !searched) body.append(soft('No event matches.'));
        const next =
          cursor &&
          make(
            'button',
            {
              type: 'button',
              class: 'plain',
              onclick: async () => {
                next.disabled = true;
                next.textContent = 'Searching …';
                try {
                  const told = await searchOn(asked, cursor, view.signal);
                  more.replaceChildren();
                  const rows = body.querySelectorAll('tbody tr').length;
                  append(told);
                  body.querySelectorAll('tbody tr')[rows]?.querySelector('a').focus();
                } catch (error) {
                  if (error.name !== 'AbortError') more.append(trouble(error));
                  next.disabled = false;
                  next.textContent = 'Try again';
                }
              },
            },
            searched ? 'Search further back' : 'Older events',
          );
        more.replaceChildren(
          ...[
            searched && make('p', {class: 'soft'}, 'Searched back to ', stamp(searched), '. '),
            next,
            !cursor && body.querySelector('table') && soft('That is all.'),
          ].filter(Boolean),
        );
      }
    },
  );
}

// One request looks through a bounded stretch of the events. Goes on by itself for a while, so that what is seldom is found.
async function searchOn(asked, cursor, signal) {
  const until = Date.now() + 2000;
  const events = [];
  for (;;) {
    const told = await ask('/events', {...asked, cursor}, signal);
    events.push(...told.events);
    if (!told.cursor || events.length >= 50 || (events.length > 0 && Date.now() > until - 1500) || Date.now() > until)
      return {...told, events};
    cursor = told.cursor;
  }
}
