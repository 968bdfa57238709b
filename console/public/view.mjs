// A page while it is open.
import {make, say, trouble} from './dom.mjs';

export class View {
  #pending = 0;
  #left = new AbortController();

  constructor(main) {
    this.main = main;
    this.signal = this.#left.signal;
    main.dataset.state = 'loading';
    main.replaceChildren();
  }

  title(text, ...beside) {
    document.title = `${text} – console`;
    const heading = make('h1', {tabindex: '-1'}, text);
    this.main.append(make('div', {class: 'title'}, heading, ...beside));
    return heading;
  }

  onLeave(run) {
    this.signal.addEventListener('abort', run);
  }

  leave() {
    this.#left.abort();
  }

  // Fills a container with what `get` brings, by `render`; meanwhile it says so, and where it fails it says why.
  // Gives what was brought, or undefined.
  async load(container, get, render) {
    this.#begin();
    container.setAttribute('aria-busy', 'true');
    container.replaceChildren(make('p', {class: 'loading'}, 'Loading …'));
    try {
      const told = await get(this.signal);
      if (this.signal.aborted) return undefined;
      container.replaceChildren(...[render(told)].flat(Infinity).filter(Boolean));
      return told;
    } catch (error) {
      if (this.signal.aborted || error.name === 'AbortError') return undefined;
      if (error.status === undefined) console.error(error);
      container.replaceChildren(
        trouble(error.status === undefined ? {message: 'The page failed.', hint: String(error.message)} : error, () =>
          this.load(container, get, render),
        ),
      );
      return undefined;
    } finally {
      container.removeAttribute('aria-busy');
      this.#end();
    }
  }

  // The page is loading until this is done.
  async wait(promise) {
    this.#begin();
    await promise;
    this.#end();
  }

  #begin() {
    this.#pending++;
    this.main.dataset.state = 'loading';
  }

  #end() {
    if (--this.#pending > 0 || this.signal.aborted) return;
    this.ready();
  }

  ready() {
    if (this.#pending > 0) return;
    this.main.dataset.state = 'ready';
    performance.mark('page ready');
    say(`${document.title} is loaded`);
  }
}
