// Plots, each with its numbers as a table beside it for whoever does not see it.
import uPlot from './uplot/uPlot.esm.js';
import {grouped, make, table, visible} from './dom.mjs';

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia('(prefers-color-scheme: dark)');

// Bars, one upon the other. days: their names (2026-11-27); series: [{name, color, values}] from the lowest up.
export function stackedBars(view, {title, days, series}) {
  const place = make('div', {
    class: 'plot',
    role: 'img',
    'aria-label': `${title}. The numbers are in the table below.`,
  });
  const shown = series.filter(({values}) => values.some(value => value > 0));
  const sums = [];
  for (const {values} of shown) sums.push(values.map((value, i) => value + (sums.at(-1)?.[i] ?? 0)));
  const times = days.map(day => Date.parse(`${day}T00:00Z`) / 1000);
  let plot = null;
  const draw = () => {
    plot?.destroy();
    if (!place.isConnected || place.clientWidth === 0) return;
    const axis = {
      stroke: css('--soft'),
      font: '12px system-ui, sans-serif',
      grid: {stroke: css('--line'), width: 1},
      ticks: {show: false},
    };
    plot = new uPlot(
      {
        width: place.clientWidth,
        height: 180,
        legend: {show: false},
        cursor: {show: false},
        tzDate: time => uPlot.tzDate(new Date(time * 1000), 'UTC'),
        scales: {
          x: {time: true, range: [times[0] - 43200, times.at(-1) + 43200]},
          y: {range: (self, least, most) => [0, Math.max(4, most * 1.05)]},
        },
        axes: [
          {
            ...axis,
            grid: {show: false},
            size: 28,
            values: (self, splits) => splits.map(time => new Date(time * 1000).toISOString().slice(5, 10)),
            space: 60,
          },
          {
            ...axis,
            size: 56,
            values: (self, splits) => splits.map(value => (Number.isInteger(value) ? short(value) : '')),
          },
        ],
        // The highest first: the lower ones are drawn over it.
        series: [
          {},
          ...shown
            .map(({color}) => ({
              fill: css(color),
              stroke: css('--card'),
              width: 1,
              points: {show: false},
              paths: uPlot.paths.bars({size: [0.8, 40]}),
            }))
            .reverse(),
        ],
      },
      [times, ...sums.slice().reverse()],
      place,
    );
  };
  dark.addEventListener('change', draw, {signal: view.signal});
  const resized = new ResizeObserver(draw);
  resized.observe(place);
  view.onLeave(() => {
    resized.disconnect();
    plot?.destroy();
  });
  const total = ({values}) => values.reduce((sum, value) => sum + value, 0);
  return make(
    'figure',
    {},
    make(
      'figcaption',
      {},
      make('h3', {}, title),
      make(
        'ul',
        {class: 'legend'},
        shown.map(line =>
          make(
            'li',
            {},
            make('span', {class: `swatch ${line.color.slice(2)}`, 'aria-hidden': 'true'}),
            visible(line.name),
            ' ',
            make('span', {class: 'soft'}, grouped(total(line))),
          ),
        ),
      ),
    ),
    place,
    make(
      'details',
      {class: 'numbers'},
      make('summary', {}, 'The numbers as a table'),
      make(
        'div',
        {class: 'wide', tabindex: '0', role: 'region', 'aria-label': `${title}: numbers`},
        table(
          title,
          [['Day', i => days[i]], ...shown.map(({name, values}) => [visible(name), i => grouped(values[i]), 'number'])],
          days
            .map((_, i) => i)
            .filter(i => shown.some(({values}) => values[i] > 0))
            .reverse(),
        ),
      ),
    ),
  );
}

const short = value =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)}k` : String(value);
