// Verifying now, with how far it is.
import {count, grouped, hash, link, make, mark, say, soft, table, trouble, uuid, visible} from './dom.mjs';
import {eventLink} from './pages/events.mjs';

export function verifier(view, organization) {
  const button = make('button', {type: 'button'}, organization ? 'Verify this chain now' : 'Verify all chains now');
  const cancel = make('button', {type: 'button', class: 'plain', hidden: true}, 'Cancel');
  const progress = make('progress', {max: '1', 'aria-label': 'Verification'});
  const told = make('p', {class: 'soft'});
  const bar = make('div', {hidden: true}, progress, told);
  const verdict = make('div', {id: 'verdict'});
  let source = null;

  const finish = () => {
    source?.close();
    source = null;
    bar.hidden = true;
    cancel.hidden = true;
    button.disabled = false;
  };
  button.addEventListener('click', () => {
    button.disabled = true;
    cancel.hidden = false;
    bar.hidden = false;
    progress.removeAttribute('value');
    told.textContent = 'Reading the events …';
    verdict.replaceChildren();
    source = new EventSource(`/api/verification${organization ? `?organization=${organization}` : ''}`);
    source.addEventListener('progress', ({data}) => {
      const {share, events_per_second: pace, seconds_left: left} = JSON.parse(data);
      progress.value = share ?? 0;
      told.textContent = [
        `${Math.floor((share ?? 0) * 100)} % read`,
        pace && `${grouped(Math.round(pace))} events a second`,
        left !== null && `${count(Math.ceil(left), 'second')} left`,
      ]
        .filter(Boolean)
        .join(', ');
    });
    source.addEventListener('finding', () => {
      progress.removeAttribute('value');
      told.textContent = 'There are faults. Listing them …';
    });
    source.addEventListener('done', ({data}) => {
      finish();
      verdict.replaceChildren(...result(JSON.parse(data)));
      say(verdict.querySelector('.mark')?.textContent ?? '');
    });
    source.addEventListener('trouble', ({data}) => {
      const {error, hint} = JSON.parse(data);
      finish();
      verdict.replaceChildren(trouble({message: error, hint}));
    });
    // It must not begin anew by itself.
    source.addEventListener('error', () => {
      if (source === null) return;
      finish();
      verdict.replaceChildren(
        trouble({
          message: 'The verification did not begin, or its connection was lost.',
          hint: 'One of yours may be running already. Try again.',
        }),
      );
    });
  });
  cancel.addEventListener('click', () => {
    finish();
    verdict.replaceChildren(soft('Canceled. Nothing is said of the chains.'));
    button.focus();
  });
  view.onLeave(finish);
  return make(
    'section',
    {class: 'card'},
    make('h2', {}, 'Verification'),
    make(
      'p',
      {class: 'soft'},
      'Reads every event, computes its hashes and follows the links. Emitters do not wait for it. It is not recorded: spine.record_verification() does that.',
    ),
    make('div', {class: 'buttons'}, button, cancel),
    bar,
    verdict,
  );
}

function result({chains, total, events, faults, most}) {
  const wrong = chains.filter(({intact}) => intact === false);
  const unread = chains.filter(({intact}) => intact === null);
  if (total === 0) return [soft('There is no chain to verify that your role may read.')];
  const head =
    wrong.length > 0
      ? mark(
          'bad',
          `${count(wrong.length, 'chain')} of ${grouped(total)} ${wrong.length === 1 ? 'has' : 'have'} faults`,
        )
      : unread.length > 0
        ? mark('none', 'Nothing was there to verify')
        : mark(
            'good',
            `${total === 1 ? 'The chain is' : `All ${grouped(total)} chains are`} intact: ${count(events, 'event')} verified`,
          );
  return [
    make('p', {class: 'big'}, head),
    faults.length > 0 &&
      table(
        'Faults',
        [
          ['Fault', ({fault}) => make('strong', {}, visible(fault))],
          [
            'Event',
            fault =>
              fault.organization_id === null || fault.sequence === null
                ? '–'
                : eventLink(fault, `no. ${grouped(fault.sequence)}`),
          ],
          ['Organization', ({organization_id: id}) => (id === null ? 'not told' : link(`/chains/${id}`, uuid(id)))],
          ['Expected', ({expected}) => hash(expected, false)],
          ['Found', ({found}) => hash(found, false)],
          ['Where', ({detail}) => visible(detail ?? '–')],
        ],
        faults,
      ),
    faults.length === most && soft(`Only the first ${grouped(most)} are shown.`),
  ].filter(Boolean);
}
