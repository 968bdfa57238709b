// What the watch found.
import {ask} from '../api.mjs';
import {card, grouped, link, make, mark, offerMore, severity, soft, stamp, table, uuid, visible} from '../dom.mjs';

export const verdictOf = ({verdict}) =>
  verdict === null ? mark('wait', 'open') : mark(verdict === 'confirmed' ? 'bad' : 'none', verdict);

export function show(view, {query}) {
  view.title('Findings');
  const all = query.all === 'yes';
  const body = make('div', {});
  const box = card(all ? 'All findings, the newest first' : 'Open findings, the newest first', body);
  view.main.append(box);
  const get = (cursor, signal) => ask('/findings', {all: query.all, organization: query.organization, cursor}, signal);
  view.load(
    body,
    signal => get(undefined, signal),
    told => {
      if (!told.installed) {
        box.querySelector('h2').textContent = 'The watch';
        return soft('The watch is not installed in this database, so nothing looks for what should not be.');
      }
      const list = make('div', {});
      const more = make('div', {class: 'more'});
      const append = ({findings, cursor}) => {
        if (findings.length > 0) {
          list.append(
            table(
              'Findings',
              [
                [
                  'Finding',
                  finding => [
                    link(`/findings/${finding.id}`, visible(finding.title ?? finding.rule)),
                    make('p', {class: 'soft'}, visible(finding.sentence ?? '')),
                  ],
                ],
                ['Severity', finding => severity(finding.severity)],
                ['Raised', finding => stamp(finding.raised_at)],
                ['Times', ({repeats}) => grouped(BigInt(repeats ?? 0) + 1n), 'number'],
                ['Organization', ({organization_id: id}) => link(`/chains/${id}`, uuid(id))],
                ['Verdict', verdictOf],
              ],
              findings,
            ),
          );
        } else if (list.children.length === 0)
          list.append(soft(all ? 'Nothing was ever found.' : 'No finding is open.'));
        offerMore(more, cursor, 'Older findings', async () => append(await get(cursor, view.signal)));
      };
      append(told);
      return [
        make(
          'p',
          {},
          all ? link('/findings', 'Show the open ones') : link('/findings?all=yes', 'Show the closed ones as well'),
        ),
        list,
        more,
      ];
    },
  );
}
