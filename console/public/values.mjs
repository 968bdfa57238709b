// Showing JSON: names and values as they are, each value as text.
import {Digits, canonical} from './exact.mjs';
import {make, soft, visible} from './dom.mjs';

const MOST = 200; // members or items of one value that are shown at once
const LONGEST = 2000;

export function valueOf(value) {
  if (value === null) return make('span', {class: 'word'}, 'null');
  if (value instanceof Digits) return make('span', {class: 'digits'}, value.text);
  if (typeof value === 'boolean' || typeof value === 'number') return make('span', {class: 'word'}, String(value));
  if (typeof value === 'string') return longText(value);
  if (
    Array.isArray(value) &&
    value.every(item => item === null || typeof item !== 'object' || item instanceof Digits)
  ) {
    return value.length === 0
      ? soft('an empty list')
      : make(
          'ul',
          {class: 'items'},
          value.slice(0, MOST).map(item => make('li', {}, valueOf(item))),
          value.length > MOST && make('li', {class: 'soft'}, `and ${value.length - MOST} more`),
        );
  }
  const text = canonical(value);
  return make(
    'details',
    {},
    make(
      'summary',
      {},
      Array.isArray(value) ? `a list of ${value.length}` : `an object of ${Object.keys(value).length}`,
    ),
    make('pre', {tabindex: '0'}, visible(text.length > 20 * LONGEST ? `${text.slice(0, 20 * LONGEST)}…` : text)),
  );
}

function longText(text) {
  if (text.length <= LONGEST) return visible(text);
  return make(
    'details',
    {},
    make('summary', {}, visible(`${text.slice(0, 80)}…`)),
    make('pre', {tabindex: '0'}, visible(text.length > 20 * LONGEST ? `${text.slice(0, 20 * LONGEST)}…` : text)),
  );
}

export function valueTable(object, caption) {
  const names = Object.keys(object);
  if (names.length === 0) return soft('It is empty.');
  return [
    make(
      'table',
      {class: 'values'},
      make('caption', {class: 'unseen'}, caption),
      make(
        'tbody',
        {},
        names
          .slice(0, MOST)
          .map(name =>
            make('tr', {}, make('th', {scope: 'row'}, visible(name)), make('td', {}, valueOf(object[name]))),
          ),
      ),
    ),
    names.length > MOST && soft(`${names.length - MOST} more members are not shown.`),
  ];
}

// What differs between two rows of a table; either may be missing.
export function changesOf(before, after) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names
    .map(name => ({name, before: before?.[name], after: after?.[name]}))
    .filter(({before: old, after: now}) => old === undefined || now === undefined || canonical(old) !== canonical(now));
}

export function changeTable(changes, caption) {
  const side = (value, kind) =>
    value === undefined ? make('span', {class: 'soft'}, '–') : make(kind, {}, valueOf(value));
  return make(
    'table',
    {class: 'stack changes'},
    make('caption', {class: 'unseen'}, caption),
    make(
      'thead',
      {},
      make(
        'tr',
        {},
        ['Column', 'Before', 'After'].map(name => make('th', {scope: 'col'}, name)),
      ),
    ),
    make(
      'tbody',
      {},
      changes.map(({name, before, after}) =>
        make(
          'tr',
          {},
          make('th', {scope: 'row', 'data-name': 'Column'}, visible(name)),
          make('td', {'data-name': 'Before'}, side(before, 'del')),
          make('td', {'data-name': 'After'}, side(after, 'ins')),
        ),
      ),
    ),
  );
}
