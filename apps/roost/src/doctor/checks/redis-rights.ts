import { redisCommand } from '../fixes.ts';
import { ofServer } from './redis-check.ts';

/** What its user may: all that Roost sends was tried. */
export const redisRights = ofServer('Redis rights', ({ redis, user, recordsEvents }) => {
  // Events are consumed only where a webhook is to tell of them.
  const rights = redis.rights.filter(({ need }) => need !== 'events' || recordsEvents);
  const refused = rights.filter(({ refusal }) => refusal !== '');
  const isUseless = refused.some(({ need }) => need === 'necessary');
  const uses = [...new Set(refused.map(({ use }) => use))];
  // A pattern with characters of a shell is quoted.
  const rules = [...new Set(refused.flatMap(({ rule }) => rule.split(' ')))].map((rule) =>
    /[&~*]/.test(rule) ? `'${rule}'` : rule,
  );
  return {
    status: isUseless ? 'fail' : refused.length > 0 ? 'warn' : 'ok',
    found: refused.length === 0 ? `${user} may do all of it` : `${user} may not: ${rules.join(' ')}`,
    needed: 'the rights of docs/guide/broadcasting.md',
    why:
      refused.length === 0
        ? 'Each was tried: publications, control messages, and what keeps presence.'
        : `They are for ${uses.join(', ')} (${refused[0]?.refusal}).`,
    fix: [redisCommand(`ACL SETUSER ${user} ${rules.join(' ')}`, 'and ACL SAVE, or in redis.conf, to last')],
  };
});
