// Asking the server.

export class Trouble extends Error {
  constructor(status, message, hint, code) {
    super(message);
    Object.assign(this, {status, hint, code});
  }
}

const unreachable = () =>
  new Trouble(0, 'The console cannot be reached.', 'See whether it still runs, and whether you are connected.');

async function answerOf(request) {
  const response = await request.catch(error => {
    throw error.name === 'AbortError' ? error : unreachable();
  });
  if (response.ok) return response;
  const {error, hint, code} = await response.json().catch(() => ({error: `The console answered ${response.status}.`}));
  if (response.status === 401) dispatchEvent(new Event('loggedout'));
  throw new Trouble(response.status, error, hint, code);
}

export async function ask(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const query = given.length > 0 ? `?${new URLSearchParams(given)}` : '';
  return (await answerOf(fetch(`/api${path}${query}`, {signal}))).json();
}

export const post = (path, body = {}, signal = undefined) =>
  answerOf(
    fetch(`/api${path}`, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify(body),
      signal,
    }),
  );
