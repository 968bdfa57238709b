// One event: what it says, its place in the chain, and its hashes, computed here.
import {ask} from '../api.mjs';
import {card, facts, grouped, hash, link, make, mark, severity, soft, stamp, table, uuid, visible} from '../dom.mjs';
import {canParse, hashesOf, parse} from '../exact.mjs';
import {valueTable} from '../values.mjs';
import {eventLink} from './events.mjs';

export function show(view, {parameters: [organization, sequence]}) {
  const heading = view.title(`Event no. ${grouped(sequence)}`);
  const body = make('div', {});
  view.main.append(body);
  view.load(
    body,
    async signal => {
      const told = await ask(`/events/${organization}/${sequence}`, {}, signal);
      if (told.line) told.parsed = parse(told.line);
      // crypto.subtle is there for pages that came by https, or from this computer.
      if (told.parsed && canParse && globalThis.crypto?.subtle) told.computed = await hashesOf(told.parsed);
      return told;
    },
    told => {
      heading.replaceChildren(visible(told.event_type));
      document.title = `${told.event_type} no. ${told.sequence} – console`;
      return [
        about(told),
        make(
          'div',
          {class: 'pair'},
          card('Payload', part(told, 'payload')),
          card('Personal part', part(told, 'personal')),
        ),
        hashes(told),
        neighbours(told),
      ];
    },
  );
}

const about = told =>
  card(
    'What happened',
    facts([
      ['When', stamp(told.timestamp)],
      told.occurred_at && ['Occurred', stamp(told.occurred_at)],
      ['Severity', severity(told.severity)],
      [
        'Organization',
        link(`/chains/${told.organization_id}`, uuid(told.organization_id, true)),
        ` no. ${grouped(told.sequence)}`,
      ],
      [
        'Entity',
        link(
          `/entities/${told.domain}.${told.entity_type}/${told.entity_id}`,
          visible(told.entity_type),
          ' ',
          uuid(told.entity_id, true),
        ),
      ],
      [
        'Actor',
        `${told.actor_type} `,
        link(`/events?organization=${told.organization_id}&actor=${told.actor_id}`, uuid(told.actor_id, true)),
      ],
      ['Recorded by', visible(told.recorded_by), `, transaction ${told.transaction_id}, in ${told.environment}`],
      told.correlation_id && ['Correlation', uuid(told.correlation_id, true)],
      told.causation_id && ['Caused by', uuid(told.causation_id, true)],
      ['Id', uuid(told.id, true)],
    ]),
  );

function part(told, name) {
  if (told.parsed?.[name] !== undefined) return valueTable(told.parsed[name], name);
  const erasure = told.erasures.find(erasure => erasure.part === name);
  if (erasure)
    return [
      make(
        'p',
        {},
        mark('none', 'Erased'),
        ' on ',
        stamp(erasure.timestamp),
        ' by ',
        eventLink(
          {organization_id: told.organization_id, sequence: erasure.sequence},
          `event no. ${grouped(erasure.sequence)}`,
        ),
        '.',
      ),
      make('p', {}, 'Reason: ', visible(erasure.reason ?? '–')),
      soft('Its hash stands in its place, so the event is checked all the same.'),
    ];
  if (told[`${name}_gone`])
    return name === 'personal'
      ? [
          make('p', {}, mark('none', 'Withheld')),
          soft(
            'Your role does not see personal parts. The hash stands in its place, so the event is checked all the same.',
          ),
        ]
      : [
          make('p', {}, mark('bad', 'Missing')),
          soft('The part is gone, and no erasure of the chain that you may read tells of it. Verify the chain.'),
        ];
  return told.trouble ? make('p', {}, mark('bad', 'Unreadable: '), visible(told.trouble)) : soft('The event has none.');
}

function hashes(told) {
  if (!told.computed) {
    return card(
      'Hashes',
      told.trouble
        ? make('p', {}, mark('bad', 'The server cannot give the event: '), visible(told.trouble))
        : make(
            'p',
            {},
            mark(
              'none',
              canParse
                ? 'This browser computes hashes only for pages that came by https, or from this computer.'
                : 'This browser is too old to compute the hashes: it reads numbers only as doubles.',
            ),
          ),
    );
  }
  const {computed, parsed} = told;
  const rows = [{name: 'Event', stored: told.event_hash, here: computed.event_hash, server: told.digest}];
  for (const [name, title] of [
    ['payload', 'Payload'],
    ['personal', 'Personal part'],
  ]) {
    const stored = parsed[`${name}_hash`];
    if (stored) rows.push({name: title, stored, here: computed[`${name}_hash`], absent: true});
  }
  const right = rows.every(({stored, here, absent}) => (here === null && absent) || here === stored);
  return make(
    'section',
    {class: 'card', id: 'hashes', 'data-right': right ? 'yes' : 'no'},
    make('h2', {}, 'Hashes'),
    make(
      'p',
      {},
      right
        ? mark('good', 'This browser computed the hashes anew, and they are those of the event.')
        : mark('bad', "The content does not give the event's hash: the event was altered."),
    ),
    table(
      'Hashes',
      [
        ['Of', ({name}) => name],
        ['In the event', ({stored}) => hash(stored)],
        [
          'Computed here',
          ({stored, here}) =>
            here === null
              ? soft('The part is not shown to you')
              : [hash(here), ' ', mark(here === stored ? 'good' : 'bad', here === stored ? 'equal' : 'differs')],
        ],
        [
          'The server computes',
          ({server, stored, absent}) =>
            absent
              ? '–'
              : server
                ? [hash(server), ' ', mark(server === stored ? 'good' : 'bad', server === stored ? 'equal' : 'differs')]
                : visible(told.trouble ?? '–'),
        ],
      ],
      rows,
    ),
  );
}

function neighbours({around, sequence, organization_id}) {
  const links = around.map((event, i) => {
    if (event.sequence === '1')
      return /^0+$/.test(event.previous_hash) ? ['good', 'the first event'] : ['bad', 'does not begin the chain'];
    const before = around[i - 1];
    if (!before) return ['wait', 'its predecessor is not there'];
    if (BigInt(before.sequence) + 1n !== BigInt(event.sequence)) return ['bad', 'events are missing before it'];
    return before.event_hash === event.previous_hash
      ? ['good', 'holds the hash of the one before']
      : ['bad', 'holds another hash than that of the one before'];
  });
  // One more before is there for its hash alone.
  const shown = around.filter(event => BigInt(event.sequence) >= BigInt(sequence) - 3n);
  return card(
    'In the chain',
    table(
      'Neighbours',
      [
        [
          'No.',
          event =>
            event.sequence === sequence
              ? make('strong', {}, grouped(event.sequence))
              : eventLink({organization_id, sequence: event.sequence}, grouped(event.sequence)),
        ],
        ['Event', event => visible(event.event_type)],
        ['When', event => stamp(event.timestamp)],
        ['Previous hash', event => hash(event.previous_hash, false)],
        ['Hash', event => hash(event.event_hash, false)],
        ['Link', event => mark(...links[around.indexOf(event)])],
      ],
      shown,
      event => (event.sequence === sequence ? {class: 'current', 'aria-current': 'true'} : {}),
    ),
  );
}
