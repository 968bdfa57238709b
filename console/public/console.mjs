// The frame around the pages: who is logged in, where one is, and how one gets elsewhere.
import {ask, post} from './api.mjs';
import {field, make, trouble, visible} from './dom.mjs';
import {View} from './view.mjs';

const PAGES = [
  [/^\/$/, 'overview'],
  [/^\/events$/, 'events'],
  [/^\/events\/([^/]+)\/(\d+)$/, 'event'],
  [/^\/entities$/, 'entities'],
  [/^\/entities\/([^/]+)\/([^/]+)$/, 'entity'],
  [/^\/chains$/, 'chains'],
  [/^\/chains\/([^/]+)$/, 'chain'],
  [/^\/findings$/, 'findings'],
  [/^\/findings\/([^/]+)$/, 'finding'],
  [/^\/feed$/, 'feed'],
];
const MENU = [
  ['/', 'Overview'],
  ['/events', 'Events'],
  ['/entities', 'Entities'],
  ['/chains', 'Chains'],
  ['/findings', 'Findings'],
  ['/feed', 'Feed'],
];

const [top, main] = ['top', 'main'].map(id => document.getElementById(id));
let session = null;
let view = null;

function frame() {
  top.hidden = session === null;
  if (session === null) return top.replaceChildren();
  const here = `/${location.pathname.split('/')[1]}`;
  top.replaceChildren(
    make(
      'div',
      {class: 'bar'},
      make(
        'p',
        {class: 'where'},
        make('strong', {}, visible(session.database)),
        session.environment && make('span', {class: `environment ${session.environment}`}, session.environment),
      ),
      make(
        'nav',
        {'aria-label': 'Pages'},
        make(
          'ul',
          {},
          MENU.map(([href, text]) =>
            make('li', {}, make('a', {href, 'aria-current': href === here ? 'page' : undefined}, text)),
          ),
        ),
      ),
      make(
        'p',
        {class: 'who'},
        make('span', {}, visible(session.user)),
        make('button', {type: 'button', class: 'plain', onclick: logOut}, 'Log out'),
      ),
    ),
  );
}

async function logOut() {
  await post('/logout').catch(() => {});
  session = null;
  history.replaceState(null, '', '/');
  await show();
}

function logIn(notice) {
  view = new View(main);
  view.title('Log in');
  const user = make('input', {
    id: 'user',
    type: 'text',
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
    maxlength: '63',
  });
  const password = make('input', {id: 'password', type: 'password', autocomplete: 'current-password'});
  const button = make('button', {type: 'submit'}, 'Log in');
  const said = make('div', {});
  const form = make(
    'form',
    {
      class: 'card login',
      onsubmit: async event => {
        event.preventDefault();
        button.disabled = true;
        said.replaceChildren();
        try {
          session = await (await post('/login', {user: user.value, password: password.value})).json();
          password.value = '';
          await show();
        } catch (error) {
          said.replaceChildren(trouble(error));
          button.disabled = false;
          password.select();
        }
      },
    },
    notice && make('p', {class: 'notice', role: 'status'}, notice),
    make('p', {}, 'Use your own role of the database. You see what it may read, and nothing else.'),
    field('User', user),
    field('Password', password),
    said,
    button,
  );
  main.append(form);
  view.ready();
  user.focus();
}

async function show({focus = true, notice = null} = {}) {
  view?.leave();
  frame();
  if (session === null) return logIn(notice);
  const [name, parameters] = find(location.pathname);
  view = new View(main);
  const mine = view;
  const context = {session, parameters, query: Object.fromEntries(new URLSearchParams(location.search)), go};
  try {
    const page = await import(name === null ? './pages/missing.mjs' : `./pages/${name}.mjs`);
    if (mine.signal.aborted) return;
    page.show(mine, context);
    mine.ready();
  } catch (error) {
    main.append(trouble({message: 'The page cannot be shown.', hint: error.message}, () => location.reload()));
    mine.ready();
  }
  scrollTo(0, 0);
  if (focus) main.querySelector('h1')?.focus({preventScroll: true});
}

function find(path) {
  for (const [form, name] of PAGES) {
    const match = form.exec(path);
    if (match)
      return [
        name,
        match.slice(1).map(part => {
          try {
            return decodeURIComponent(part);
          } catch {
            return part;
          }
        }),
      ];
  }
  return [null, []];
}

// Goes to another page of the console.
export function go(href, {replace = false} = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  return show();
}

document.addEventListener('click', event => {
  const anchor = event.target.closest?.('a[href]');
  if (
    !anchor ||
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey ||
    anchor.target ||
    anchor.hasAttribute('download')
  )
    return;
  const url = new URL(anchor.href);
  if (
    url.origin !== location.origin ||
    url.pathname === '/verifier' ||
    (url.hash !== '' && url.pathname === location.pathname && url.search === location.search)
  )
    return;
  event.preventDefault();
  go(url.pathname + url.search);
});
addEventListener('popstate', () => show());
addEventListener('loggedout', () => {
  if (session === null) return;
  session = null;
  show({notice: 'Your session has ended. Log in again to go on where you were.'});
});

try {
  session = await ask('/session');
  await show({focus: false});
} catch (error) {
  main.append(
    make('h1', {}, 'Console'),
    trouble(error, () => location.reload()),
  );
}
