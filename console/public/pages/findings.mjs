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
  const scores = make('div', {});
  view.main.append(box, card(query.organization ? 'Risk of its actions' : 'Risk of the organizations', scores));
  view.load(
    scores,
    signal => ask('/risks', {organization: query.organization}, signal),
    ({risks}) =>
      risks.length === 0
        ? soft('Nothing was found, so there is no risk to tell.')
        : table(
            'Risks',
            [
              [
                query.organization ? 'Action' : 'Organization',
                ({organization, key}) =>
                  query.organization
                    ? visible(key)
                    : link(`/findings?organization=${organization}`, uuid(organization)),
              ],
              [
                'Risk, of 100',
                ({risk}) => [
                  make('meter', {min: '0', max: '100', value: String(risk), 'aria-label': `Risk ${risk} of 100`}),
                  ` ${risk}`,
                ],
                'number',
              ],
              ['Findings', ({findings}) => grouped(BigInt(findings)), 'number'],
            ],
            risks,
          ),
  );
  const get = (cursor, signal) => ask('/findings', {all: query.all, organization: query.organization, cursor}, signal);
  view.load(
    body,
    signal => get(undefined, signal),
    told => {
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
