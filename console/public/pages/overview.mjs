// Whether all is well, and what waits for an answer.
import {ask} from '../api.mjs';
import {stackedBars} from '../charts.mjs';
import {ago, card, count, grouped, link, make, mark, soft, table, visible} from '../dom.mjs';

const SEVERITIES = ['low', 'medium', 'high', 'critical'];
const MOST_DOMAINS = 5;

export function show(view) {
  view.title('Overview');
  const banner = make('section', {class: 'banner none', 'aria-live': 'polite'}, make('p', {class: 'big'}, 'Looking …'));
  const parts = {
    chains: {title: 'Chains', get: signal => ask('/overview/chains', {}, signal), render: chains},
    findings: {title: 'Findings', get: signal => ask('/overview/findings', {}, signal), render: findings},
    guards: {title: 'Guards', get: signal => ask('/overview/guards', {}, signal), render: guards},
    consumers: {title: 'Consumers', get: signal => ask('/overview/consumers', {}, signal), render: consumers},
  };
  const plots = make('div', {});
  const grid = make('div', {class: 'grid'});
  view.main.append(banner, grid, card('Events of the last 30 days', plots));
  view.load(
    plots,
    signal => ask('/overview/counts', {}, signal),
    told => counts(view, told),
  );
  const waiting = Object.values(parts).map(async ({title, get, render}) => {
    const body = make('div', {});
    grid.append(card(title, body));
    let waits, bad;
    await view.load(body, get, told => {
      let content;
      [waits, bad, content] = render(told);
      return content;
    });
    return {title, waits, bad};
  });
  Promise.all(waiting).then(told => {
    if (view.signal.aborted) return;
    const wrong = told.filter(({waits}) => waits > 0);
    const untold = told.filter(({waits}) => waits === undefined).map(({title}) => title.toLowerCase());
    const sum = wrong.reduce((all, {waits}) => all + waits, 0);
    const rest =
      untold.length === 0 ? null : make('p', {}, `Nothing is said of: ${untold.join(', ')}. The cards tell why.`);
    const [state, text] =
      sum > 0
        ? [
            wrong.some(({bad}) => bad) ? 'bad' : 'wait',
            `${count(sum, 'thing')} ${sum === 1 ? 'waits' : 'wait'} for an answer`,
          ]
        : untold.length > 0
          ? ['none', 'Nothing waits for an answer, as far as you may see']
          : ['good', 'All is well'];
    banner.className = `banner ${state}`;
    banner.replaceChildren(
      make('p', {class: 'big'}, mark(state, text)),
      ...[
        sum > 0 && make('p', {}, wrong.map(({title, waits}) => `${title}: ${grouped(waits)}`).join(' · ')),
        rest,
      ].filter(Boolean),
    );
  });
}

const line = (state, ...text) => make('li', {class: state}, mark(state, ''), make('span', {}, ...text));
const lines = (...items) => make('ul', {class: 'lines'}, items.filter(Boolean));

function chains({chains: all, intact, faulty, never, shrunken, old, oldest, events}) {
  if (all === 0) return [0, false, soft('There is no chain yet, or none that your role may read.')];
  return [
    faulty + never + shrunken + old,
    faulty + shrunken > 0,
    [
      lines(
        faulty > 0 && line('bad', `${count(faulty, 'chain')} with faults`),
        shrunken > 0 && line('bad', `${count(shrunken, 'chain')} lost events`),
        never > 0 && line('wait', `${count(never, 'chain')} never verified`),
        old > 0 && line('wait', `${count(old, 'chain')} not verified for 7 days`),
        intact > 0 && line('good', `${count(intact, 'chain')} intact when last verified`),
      ),
      soft(
        `${count(events, 'event')} in ${count(all, 'chain')}. `,
        oldest && `The oldest verification was ${ago(oldest)}.`,
      ),
      make(
        'p',
        {},
        link(faulty + never + shrunken + old > 0 ? '/chains?waiting=yes' : '/chains', 'Look at the chains'),
      ),
    ],
  ];
}

function findings({open}) {
  return [
    open.reduce((sum, {findings}) => sum + Number(findings), 0),
    open.some(({severity}) => ['high', 'critical'].includes(severity)),
    [
      open.length === 0
        ? lines(line('good', 'No open finding'))
        : lines(
            open.map(({severity, findings}) =>
              line(
                ['high', 'critical'].includes(severity) ? 'bad' : 'wait',
                `${count(findings, `${severity} finding`)} open`,
              ),
            ),
          ),
      make('p', {}, link('/findings', 'Look at the findings')),
    ],
  ];
}

function guards(broken) {
  const wrong = broken.filter(({ok}) => ok === false);
  return [
    wrong.length,
    true,
    [
      wrong.length === 0
        ? lines(line('good', 'All guards are in force'))
        : lines(wrong.map(({guard, found}) => line('bad', make('strong', {}, visible(guard)), ': ', visible(found)))),
      broken.length > 0 &&
        make(
          'details',
          {},
          make(
            'summary',
            {},
            wrong.length > 0 ? 'What to do' : `${count(broken.length, 'guard')} that the server does without`,
          ),
          table(
            'Guards',
            [
              ['Guard', ({guard}) => visible(guard)],
              ['Expected', ({expected}) => visible(expected ?? '–')],
              ['Found', ({found}) => visible(found ?? '–')],
              ['Remedy', ({remedy}) => visible(remedy ?? '–')],
            ],
            broken,
          ),
        ),
    ],
  ];
}

function consumers(all) {
  if (all.length === 0) return [0, false, soft('No subscription that your role may consume.')];
  const late = all.filter(one => one.late);
  return [
    late.length,
    false,
    table(
      'Consumers',
      [
        ['Subscription', ({name}) => visible(name)],
        [
          'Behind',
          one =>
            one.events_behind === '0'
              ? mark('good', 'nothing')
              : mark(
                  one.late ? 'bad' : 'none',
                  `${count(one.events_behind, 'event')}, the oldest ${ago(one.oldest_unread)}`,
                ),
        ],
        ['Given again', ({redeliveries}) => grouped(redeliveries), 'number'],
      ],
      all,
    ),
  ];
}

function counts(view, {exact, today, span, days}) {
  if (days.length === 0) return soft('No event in these days.');
  const names = Array.from({length: span}, (_, i) =>
    new Date(Date.parse(`${today}T00:00Z`) - (span - 1 - i) * 86400_000).toISOString().slice(0, 10),
  );
  const sum = (column, name) =>
    names.map(day =>
      days.filter(row => row.day === day && row[column] === name).reduce((all, row) => all + Number(row.events), 0),
    );
  const domains = [
    ...days.reduce(
      (all, {domain, events}) => (domain === null ? all : all.set(domain, (all.get(domain) ?? 0) + Number(events))),
      new Map(),
    ),
  ]
    .sort((a, b) => b[1] - a[1])
    .map(([name]) => name);
  const series = domains
    .slice(0, MOST_DOMAINS)
    .map((name, i) => ({name, color: `--series-${i + 1}`, values: sum('domain', name)}));
  const others = domains.slice(MOST_DOMAINS).map(name => sum('domain', name));
  if (others.length > 0)
    series.push({
      name: count(others.length, 'other'),
      color: '--series-6',
      values: names.map((_, i) => others.reduce((all, values) => all + values[i], 0)),
    });
  return [
    !exact &&
      make(
        'p',
        {class: 'notice'},
        'More than 20,000 events are not counted yet and are left out here. Whoever runs the database calls spine.refresh_dashboards().',
      ),
    make(
      'div',
      {class: 'plots'},
      stackedBars(view, {
        title: 'By severity',
        days: names,
        series: SEVERITIES.map(name => ({name, color: `--${name}`, values: sum('severity', name)})),
      }),
      stackedBars(view, {title: 'By domain', days: names, series}),
    ),
  ];
}
