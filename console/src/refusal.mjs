// An answer that is no success: what went wrong, and what to do.
export class Refusal extends Error {
  constructor(status, message, hint = undefined, code = undefined) {
    super(message);
    Object.assign(this, {status, hint, code});
  }
}

// What the browser is told of an error. Errors of the database keep their words; anything else is for the log alone.
export function refusalOf(error) {
  if (error instanceof Refusal) return error;
  if (error.type === 'entity.parse.failed' || error.type === 'entity.too.large')
    return new Refusal(error.status, 'The request cannot be read.');
  if (
    ['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND'].includes(error.code) ||
    /^(08|57P0|53)/.test(error.code ?? '') ||
    /connection|timeout exceeded/i.test(error.message)
  ) {
    return new Refusal(
      503,
      'The database cannot be reached, or takes no more connections.',
      'Try again in a moment.',
      error.code,
    );
  }
  if (error.severity === undefined) return new Refusal(500, 'The console failed.', 'Its log says why.');
  if (error.code === '42501')
    return new Refusal(403, `Your role may not see or do this: ${error.message}.`, error.hint, error.code);
  if (error.code === '57014')
    return new Refusal(
      504,
      'The database took too long, so the query was canceled.',
      'Narrow what you ask for.',
      error.code,
    );
  if (error.code === '25006')
    return new Refusal(
      409,
      'The database is read-only here: it is a standby, perhaps.',
      'Do this where it can write.',
      error.code,
    );
  return new Refusal(/^22/.test(error.code) ? 400 : 409, error.message, error.hint, error.code);
}
