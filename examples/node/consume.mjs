// Copies the events of a subscription into a table of this database, each exactly once. Ends on SIGTERM or Ctrl-C.
// Needs a database where the role may consume the subscription and write to a table copied.
import { pathToFileURL } from 'node:url';
import { Consumer } from './consumer.mjs';

// Is committed together with the acknowledgement, or not at all.
export async function copy(client, batch) {
  await client.query(
    'INSERT INTO copied (id, organization_id, sequence) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])',
    ['id', 'organization_id', 'sequence'].map(name => batch.events.map(event => event[name])));
}

const report = ({ events, events_behind, set_aside }) =>
  console.log(`${events} copied, ${events_behind} to come, ${set_aside.length} batches set aside`);

if (import.meta.url === pathToFileURL(process.argv[1]).href) await new Consumer('copier', copy, { report }).run();
