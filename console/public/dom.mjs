// Making elements. Text from the database comes into the page here alone, and as text.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

// Characters that cannot be seen, or that turn the order of what is around them, are shown by their number.
const ODD = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\u115f\u1160\u3164\uffa0]/u;
const KEPT = new Set(['\n', '\t', '\u200c', '\u200d']);

// A text of the database, which no text around it can be mistaken for.
export function visible(text, kind = 'value') {
  const span = make('span', {class: kind});
  let plain = '';
  for (const character of String(text)) {
    if (!ODD.test(character) || KEPT.has(character)) {
      plain += character;
      continue;
    }
    span.append(
      plain,
      make('span', {class: 'odd'}, `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`),
    );
    plain = '';
  }
  span.append(plain);
  return span;
}

export const link = (href, ...children) => make('a', {href}, ...children);
export const soft = (...children) => make('p', {class: 'soft'}, ...children);
export const grouped = number => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
export const count = (number, one, many = `${one}s`) => `${grouped(number)} ${String(number) === '1' ? one : many}`;

const NIL = '00000000-0000-0000-0000-000000000000';
// The whole of a uuid where there is room, else its beginning.
export const uuid = (id, whole = false) =>
  id === NIL
    ? make('span', {title: NIL}, 'the platform')
    : make('span', {class: 'mono', title: id}, whole ? id : `${id.slice(0, 8)}…${id.slice(-4)}`);

const iso = text => text.replace(' ', 'T').replace(/\+00$/, 'Z');
export const dateOf = text => new Date(iso(text));
export const stamp = text =>
  make(
    'time',
    {datetime: iso(text), title: `${text.replace(/\+00$/, '')} UTC`, class: 'stamp'},
    `${text.slice(0, 19)} UTC`,
  );

export function ago(text, now = Date.now()) {
  const seconds = Math.max(0, (now - dateOf(text)) / 1000);
  for (const [size, name] of [
    [86400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ]) {
    if (seconds >= size) return `${count(Math.floor(seconds / size), name)} ago`;
  }
  return 'just now';
}

export const severity = name => make('span', {class: `severity ${name}`}, name);
export const mark = (state, text) =>
  make(
    'span',
    {class: `mark ${state}`},
    make('span', {'aria-hidden': 'true'}, {good: '✓', bad: '✗', wait: '!', none: '–'}[state]),
    ' ',
    text,
  );
export const hash = (hex, whole = true) =>
  hex === null || hex === undefined
    ? '–'
    : make('code', {class: 'hash', title: hex}, whole ? hex : `${hex.slice(0, 12)}…`);

// A table whose rows become blocks where the window is narrow. Columns: [heading, cell(row), class].
export function table(caption, columns, rows, rowAttributes = () => ({})) {
  return make(
    'table',
    {class: `stack ${caption.toLowerCase().replace(/\W.*/, '')}`},
    make('caption', {class: 'unseen'}, caption),
    make(
      'thead',
      {},
      make(
        'tr',
        {},
        columns.map(([heading]) => make('th', {scope: 'col'}, heading)),
      ),
    ),
    make(
      'tbody',
      {},
      rows.map(row =>
        make(
          'tr',
          rowAttributes(row),
          columns.map(([heading, cell, kind], i) => {
            const content = cell(row);
            return make(
              i === 0 ? 'th' : 'td',
              {
                'data-name': typeof heading === 'string' ? heading : heading.textContent,
                class: kind,
                scope: i === 0 ? 'row' : undefined,
              },
              content,
            );
          }),
        ),
      ),
    ),
  );
}

// Names and values, one below the other.
export const facts = pairs =>
  make(
    'dl',
    {class: 'facts'},
    pairs.filter(Boolean).map(([name, ...value]) => make('div', {}, make('dt', {}, name), make('dd', {}, ...value))),
  );

export function field(label, input, hint = null) {
  const id = input.id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  return make(
    'div',
    {class: 'field'},
    make('label', {for: id}, label),
    input,
    hint && make('p', {class: 'hint', id: `${id}-hint`}, hint),
  );
}

export const card = (title, ...children) => make('section', {class: 'card'}, make('h2', {}, title), ...children);

// Why something is not to be seen, and what to do.
export const trouble = (error, again = null) =>
  make(
    'div',
    {class: 'trouble', role: 'alert'},
    make('p', {}, make('strong', {}, visible(error.message))),
    error.hint && make('p', {}, visible(error.hint)),
    again && make('button', {type: 'button', class: 'plain', onclick: again}, 'Try again'),
  );

// Below a list: the button that goes on from where it ended, if it has not ended for good. next: asks for what comes, and shows it.
export function offerMore(box, cursor, text, next) {
  const go = async ({target}) => {
    target.disabled = true;
    try {
      await next();
    } catch (error) {
      box.append(trouble(error));
      target.disabled = false;
    }
  };
  box.replaceChildren(...(cursor ? [make('button', {type: 'button', class: 'plain', onclick: go}, text)] : []));
}

export function say(text) {
  document.getElementById('said').textContent = text;
}
