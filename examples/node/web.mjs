// What a web application says at a request's beginning, so that nothing behind it need say who acts.
import { runWithContext, transaction } from './context.mjs';
import { emitEvent } from './event_emitter.mjs';

// Middleware for Express and its like, behind what finds out who the user is.
export function sayWhoActs(request, response, next) {
  const { organization_id, actor_id } = request.user;
  runWithContext({ organization_id, actor_id, correlation_id: request.headers['x-request-id'] }, next);
}

export function promote(pool, employee, grade) {
  return transaction(pool, client =>
    emitEvent(client, { event_type: 'hcm.employee.promoted', entity_id: employee, payload: { grade } }));
}
