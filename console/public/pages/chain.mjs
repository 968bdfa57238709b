// One chain: its end, what was signed of it, its verification, and evidence of it.
import {ask, post} from '../api.mjs';
import {
  card,
  count,
  facts,
  field,
  grouped,
  hash,
  link,
  make,
  mark,
  soft,
  stamp,
  table,
  trouble,
  uuid,
  visible,
} from '../dom.mjs';
import {verifier} from '../verification.mjs';
import {stateOf} from './chains.mjs';

export function show(view, {parameters: [organization], session}) {
  view.title('Chain');
  const body = make('div', {});
  const id = encodeURIComponent(organization);
  view.main.append(
    make('p', {class: 'soft'}, uuid(organization, true), ' · ', link(`/events?organization=${id}`, 'its events')),
    body,
  );
  view.load(
    body,
    signal => ask(`/chains/${id}`, {}, signal),
    told => [
      card(
        'Head',
        facts([
          ['Events', grouped(told.chain.events)],
          [
            'Last event',
            told.chain.head_timestamp
              ? [
                  link(`/events/${organization}/${told.chain.events}`, `no. ${grouped(told.chain.events)}`),
                  ' at ',
                  stamp(told.chain.head_timestamp),
                ]
              : '–',
          ],
          ['Hash', hash(told.chain.head_hash)],
          [
            'Last recorded verification',
            stateOf(told.chain),
            told.chain.verified_by && [' by ', visible(told.chain.verified_by)],
          ],
        ]),
      ),
      verifier(view, organization),
      checkpoints(told),
      told.holds.length > 0 &&
        card(
          'Legal holds',
          table(
            'Legal holds',
            [
              ['Reason', ({reason}) => visible(reason)],
              [
                'On',
                ({domain, entity_type: type, entity_id: entity}) => [
                  visible([domain, type].filter(Boolean).join('.') || 'everything'),
                  ' ',
                  entity && uuid(entity),
                ],
              ],
              ['Placed', ({placed_at: at, placed_by: by}) => [stamp(at), ' by ', visible(by)]],
            ],
            told.holds,
          ),
        ),
      evidence(organization, told, session),
    ],
  );
}

function checkpoints({checkpoints: all, notes, sees_notes: seesNotes}) {
  if (all.length === 0) return card('Checkpoints', soft('There is none yet. A notary takes and signs them.'));
  const covering = number => notes.filter(note => BigInt(note.number) >= BigInt(number)).at(-1);
  return card(
    'Checkpoints',
    table(
      'Checkpoints',
      [
        ['Events', ({size}) => grouped(size), 'number'],
        ['Taken', ({taken_at: at}) => stamp(at)],
        ['Root', ({root}) => hash(root, false)],
        ['Directory', ({directory_number: number}) => `no. ${number}`],
        [
          'Signed',
          ({directory_number: number}) => {
            const note = covering(number);
            return !seesNotes
              ? soft('your role does not see that')
              : note
                ? [mark('good', ''), visible(note.origin), ', ', stamp(note.stored_at)]
                : mark('wait', 'not yet');
          },
        ],
      ],
      all,
    ),
    notes.length > 0 &&
      make(
        'details',
        {},
        make('summary', {}, 'The newest signed note'),
        make('pre', {tabindex: '0'}, visible(notes[0].note)),
      ),
    soft("A note is believed by whoever has the notary's public key, not by this page."),
  );
}

function evidence(organization, {exports}, {writes}) {
  const verify = make(
    'p',
    {},
    'Check a bundle without this server: ',
    make('a', {href: '/verifier'}, 'open the verifier page'),
    ', or better, open a copy of it that you trust.',
  );
  if (!writes)
    return card(
      'Evidence',
      soft('This console only reads. Taking evidence out is itself an event, so it is not offered here.'),
      verify,
    );
  if (!exports) return card('Evidence', soft('Your role may not export evidence.'), verify);
  const reason = make('input', {id: 'reason', type: 'text', required: true, maxlength: '500', autocomplete: 'off'});
  const [from, to] = [
    ['from', 'First event'],
    ['to', 'Last event'],
  ].map(([name, label]) => [
    make('input', {id: name, type: 'text', inputmode: 'numeric', pattern: '[0-9]{1,19}', autocomplete: 'off'}),
    label,
  ]);
  const [payload, personal] = ['payload', 'personal'].map(name =>
    make('input', {id: name, type: 'checkbox', checked: name === 'payload'}),
  );
  const button = make('button', {type: 'submit'}, 'Download the evidence');
  const said = make('div', {});
  return card(
    'Evidence',
    make(
      'form',
      {
        onsubmit: async event => {
          event.preventDefault();
          button.disabled = true;
          said.replaceChildren(make('p', {class: 'loading', role: 'status'}, 'Collecting and proving …'));
          try {
            const response = await post(`/chains/${organization}/evidence`, {
              reason: reason.value,
              from: from[0].value,
              to: to[0].value,
              payload: payload.checked,
              personal: personal.checked,
            });
            const bundle = await response.blob();
            const href = URL.createObjectURL(bundle);
            make('a', {href, download: `evidence-${organization}.ndjson`}).click();
            setTimeout(() => URL.revokeObjectURL(href), 60_000);
            said.replaceChildren(
              make(
                'p',
                {role: 'status'},
                mark(
                  'good',
                  `The bundle has ${count(bundle.size, 'byte')}. That it was taken out is an event of the chain now.`,
                ),
              ),
            );
          } catch (error) {
            said.replaceChildren(
              trouble(
                error.status === undefined
                  ? {message: 'The download broke off, so there is no whole bundle.', hint: 'Try again.'}
                  : error,
              ),
            );
          } finally {
            button.disabled = false;
          }
        },
      },
      soft('That evidence was taken out, by whom and why, becomes an event of the chain.'),
      field('Reason', reason),
      make(
        'div',
        {class: 'fields'},
        field(from[1], from[0], 'Empty: the first that is left.'),
        field(to[1], to[0], 'Empty: the last that is signed.'),
      ),
      make(
        'p',
        {class: 'checks'},
        make('label', {}, payload, ' with payloads'),
        make('label', {}, personal, ' with personal parts'),
      ),
      make('div', {class: 'buttons'}, button),
      said,
    ),
    verify,
  );
}
