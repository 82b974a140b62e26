import type { UpgradeDecision } from '../../api/app.ts';
import { checkUser } from '../../options/user-name.ts';
import { checkAttachment } from '../rows/attachments.ts';
import { checkExpiresAt } from '../rows/deadlines.ts';
import { checkSession } from '../rows/sessions.ts';

/**
 * What an upgrade hook answered, made sure to be what its type says: JavaScript applications have no compiler. Throws a
 * TypeError that names the hook's mistake.
 */
export function checkDecision(decision: UpgradeDecision): UpgradeDecision {
  if (decision === undefined || decision === null) return undefined;
  const kind: unknown = decision.kind;
  if (decision.kind === 'accept') {
    const { channels = [], protocol, headers } = decision;
    if (!Array.isArray(channels) || channels.some((channel) => typeof channel !== 'string')) {
      throw mistake('accept({ channels }) takes an array of strings', channels);
    }
    if (protocol !== undefined && typeof protocol !== 'string') {
      throw mistake('accept({ protocol }) takes a string', protocol);
    }
    checkHeaders(headers);
    checkAttachment(decision.attachment);
    checkExpiresAt(decision.expiresAt);
    checkSession(decision.session);
    checkUser(decision.user);
    return decision;
  }
  if (decision.kind === 'reject') {
    const { status, reason, headers } = decision;
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw mistake('reject() takes a status from 400 to 599', status);
    }
    if (typeof reason !== 'string') throw mistake('reject() takes a reason as its second argument', reason);
    checkHeaders(headers);
    return decision;
  }
  throw mistake('an upgrade hook returns accept(…), reject(…) or nothing', kind ?? decision);
}

function checkHeaders(headers: unknown): void {
  if (headers === undefined) return;
  if (typeof headers !== 'object' || headers === null)
    throw mistake('headers are an object of strings', headers);
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string') throw mistake(`the header ${name} must be a string`, value);
  }
}

function mistake(rule: string, received: unknown): TypeError {
  return new TypeError(`${rule}, got ${JSON.stringify(received) ?? String(received)}`);
}
