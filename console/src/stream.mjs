// Server-sent events to one browser.
import {refusalOf} from './refusal.mjs';

export class Stream {
  ended = false;
  #response;
  #session;
  #onEnd = [];
  #stop = () => this.end();

  constructor(request, response, session) {
    this.#response = response;
    this.#session = session;
    session.ends.add(this.#stop);
    response.on('close', this.#stop);
    response.on('error', this.#stop);
    request.socket.setNoDelay(true);
    response.set({'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no'});
    response.flushHeaders();
    if (response.destroyed) this.end();
  }

  onEnd(run) {
    if (this.ended) run();
    else this.#onEnd.push(run);
  }

  send(name, data, id = undefined) {
    if (!this.ended)
      this.#response.write(`event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  // Until the browser has taken what was sent, or has gone. Nothing more is read from the database meanwhile.
  async taken() {
    while (!this.ended && this.#response.writableNeedDrain) {
      await new Promise(resolve => {
        this.#response.once('drain', resolve);
        this.onEnd(resolve);
      });
    }
  }

  fail(error) {
    const {status, message, hint, code} = refusalOf(error);
    if (status === 500) console.error('stream:', error);
    this.send('trouble', {error: message, hint, code});
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    this.#session.ends.delete(this.#stop);
    this.#response.end();
    for (const run of this.#onEnd) run();
  }
}
