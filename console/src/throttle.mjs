// Slows down who guesses passwords: after FREE failures in a row, each further one doubles the time for which no login is
// taken, up to LONGEST. A user name and an address each have a count of their own.
const FREE = 5;
const LONGEST = 15 * 60_000;
const FORGET = 60 * 60_000;
const MOST_KEYS = 10_000;

export class Throttle {
  #failures = new Map(); // key → {count, until, last}

  // For how many seconds no login is taken under any of these keys; 0: one is.
  wait(keys, now = Date.now()) {
    const until = Math.max(...keys.map(key => this.#failures.get(key)?.until ?? 0));
    return Math.max(0, Math.ceil((until - now) / 1000));
  }

  // Counts a login as failed before it is tried, so that many at once are counted, too.
  begin(keys, now = Date.now()) {
    for (const key of keys) {
      const {count = 0, last = now} = this.#failures.get(key) ?? {};
      const next = now - last > FORGET ? 1 : count + 1;
      const until = next < FREE ? 0 : now + Math.min(LONGEST, 1000 * 2 ** (next - FREE));
      this.#failures.delete(key);
      this.#failures.set(key, {count: next, until, last: now});
    }
    // The oldest go first. Who floods it with names is still held by the count of the address.
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= MOST_KEYS) break;
      this.#failures.delete(key);
    }
  }

  succeed(keys) {
    for (const key of keys) this.#failures.delete(key);
  }
}
