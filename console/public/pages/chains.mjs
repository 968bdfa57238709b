// All chains: where they end, and whether they are verified.
import {ask} from '../api.mjs';
import {
  ago,
  card,
  count,
  grouped,
  hash,
  link,
  make,
  mark,
  offerMore,
  soft,
  stamp,
  table,
  uuid,
  visible,
} from '../dom.mjs';
import {verifier} from '../verification.mjs';

export function stateOf({events, intact, verified_sequence, verified_at, faults}) {
  if (intact !== null && BigInt(events) < BigInt(verified_sequence ?? 0))
    return mark('bad', `lost events: it had ${grouped(verified_sequence)}`);
  if (intact === null) return mark('wait', 'never verified');
  if (!intact) return mark('bad', count(faults, 'fault'));
  return mark('good', `intact up to no. ${grouped(verified_sequence ?? 0)}, ${ago(verified_at)}`);
}

export function show(view, {query}) {
  view.title('Chains');
  const waiting = query.waiting === 'yes';
  const body = make('div', {});
  view.main.append(
    verifier(view, null),
    card(
      waiting ? 'Chains that wait for a verification or have faults' : 'All chains',
      make(
        'p',
        {},
        waiting ? link('/chains', 'Show all') : link('/chains?waiting=yes', 'Show those that wait for an answer'),
      ),
      body,
    ),
  );
  const get = (cursor, signal) => ask('/chains', {cursor, waiting: query.waiting}, signal);
  view.load(
    body,
    signal => get(undefined, signal),
    told => {
      const list = make('div', {});
      const more = make('div', {class: 'more'});
      const append = ({chains, cursor}) => {
        if (chains.length > 0) {
          list.append(
            table(
              'Chains',
              [
                ['Organization', chain => link(`/chains/${chain.organization_id}`, uuid(chain.organization_id, true))],
                ['Events', chain => grouped(chain.events), 'number'],
                ['Last event', chain => (chain.head_timestamp ? stamp(chain.head_timestamp) : '–')],
                ['Head', chain => hash(chain.head_hash, false)],
                [
                  'Last recorded verification',
                  chain => [stateOf(chain), chain.verified_by && [' by ', visible(chain.verified_by)]],
                ],
              ],
              chains,
            ),
          );
        } else if (list.children.length === 0)
          list.append(soft(waiting ? 'None waits.' : 'There is no chain that your role may read.'));
        offerMore(more, cursor, 'More chains', async () => append(await get(cursor, view.signal)));
      };
      append(told);
      return [list, more];
    },
  );
}
