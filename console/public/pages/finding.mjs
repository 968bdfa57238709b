// One finding: why it was raised, the events that it rests on, and what became of it.
import {ask, post} from '../api.mjs';
import {
  card,
  facts,
  field,
  grouped,
  link,
  make,
  mark,
  severity,
  soft,
  stamp,
  table,
  trouble,
  uuid,
  visible,
} from '../dom.mjs';
import {parse} from '../exact.mjs';
import {valueTable} from '../values.mjs';
import {eventLink} from './events.mjs';
import {verdictOf} from './findings.mjs';

const MEANS = {
  confirmed: 'It is what it seems, and is dealt with',
  dismissed: 'It is harmless',
  closed: 'Nobody can tell',
};

export function show(view, {parameters: [id], session}) {
  const heading = view.title('Finding');
  const body = make('div', {});
  view.main.append(body);
  const load = () =>
    view.load(
      body,
      signal => ask(`/findings/${encodeURIComponent(id)}`, {}, signal),
      told => {
        heading.replaceChildren(visible(told.title ?? told.rule));
        return [
          card(
            'What was found',
            make('p', {class: 'big'}, visible(told.sentence ?? '')),
            facts([
              ['Severity', severity(told.severity)],
              ['Raised', stamp(told.raised_at), ', ', eventLink(told, `event no. ${grouped(told.sequence)}`)],
              ['Organization', link(`/chains/${told.organization_id}`, uuid(told.organization_id, true))],
              ['Rule', visible(told.rule), `, version ${told.rule_version}`],
              told.repeats > 0 && ['Came again', `${grouped(told.repeats)} times, last `, stamp(told.last_repeat)],
              [
                'Verdict',
                verdictOf(told),
                told.closed_at && [' on ', stamp(told.closed_at), ' by ', uuid(told.closed_by)],
              ],
              told.reason && ['Reason', visible(told.reason)],
            ]),
          ),
          card('The numbers that decided', told.numbers === null ? soft('None.') : numbers(told.numbers)),
          card(
            'The events that it rests on',
            told.events.length === 0
              ? soft('None that your role may read.')
              : table(
                  'Events',
                  [
                    [
                      'Event',
                      event =>
                        eventLink(
                          {organization_id: told.organization_id, sequence: event.sequence},
                          visible(event.event_type),
                        ),
                    ],
                    ['When', event => stamp(event.recorded_at)],
                    ['Entity', event => uuid(event.entity_id)],
                    ['Actor', event => uuid(event.actor_id)],
                    [
                      'What it says',
                      event =>
                        event.payload === null ? mark('none', 'erased') : valueTable(parse(event.payload), 'Payload'),
                    ],
                    ['Since then', event => (event.is_unchanged ? mark('good', 'unchanged') : mark('bad', 'altered'))],
                  ],
                  told.events,
                ),
          ),
          close(told, session, load),
        ];
      },
    );
  load();
}

function numbers(text) {
  const value = parse(text);
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? valueTable(value, 'Numbers')
    : make('pre', {tabindex: '0'}, visible(text));
}

function close(told, {writes}, load) {
  if (!writes)
    return card('Close it', soft('This console only reads. Who runs it starts it with --writes to change that.'));
  const verdict = make(
    'select',
    {id: 'verdict'},
    told.verdicts.map(name => make('option', {value: name}, `${name}: ${MEANS[name].toLowerCase()}`)),
  );
  const reason = make('textarea', {id: 'reason', required: true, maxlength: '2000'});
  const actor = told.actor
    ? null
    : make('input', {
        id: 'actor',
        type: 'text',
        required: true,
        autocomplete: 'off',
        spellcheck: 'false',
        pattern: '\\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\\s*',
      });
  const button = make('button', {type: 'submit'}, told.verdict === null ? 'Close the finding' : 'Judge it anew');
  const said = make('div', {});
  return card(
    told.verdict === null ? 'Close it' : 'Judge it anew',
    make(
      'form',
      {
        onsubmit: async event => {
          event.preventDefault();
          button.disabled = true;
          said.replaceChildren();
          try {
            await post(`/findings/${told.id}/close`, {
              verdict: verdict.value,
              reason: reason.value,
              actor: actor?.value,
            });
            await load();
          } catch (error) {
            said.replaceChildren(trouble(error));
            button.disabled = false;
          }
        },
      },
      soft('The verdict and its reason become an event of the chain, under your name.'),
      field('Verdict', verdict),
      field('Reason', reason),
      actor &&
        field(
          'Your actor id',
          actor,
          'A UUID. ALTER ROLE … SET people_os_spine.actor_id makes it known, and it is not asked for.',
        ),
      said,
      make('div', {class: 'buttons'}, button),
    ),
  );
}
