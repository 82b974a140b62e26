import type { Connection } from '@roost/farm';
import type { Answers } from './answers.ts';
import { userIdOf, userOf } from './apps.ts';
import type { PusherApp } from './apps.ts';
import { signinSuccess } from './codec.ts';
import type { ClientMessage } from './codec.ts';
import { readUserData } from './member.ts';
import { withUserInfo } from './session.ts';
import { isUserSignature } from './signatures.ts';
import { authorize } from './subscribe.ts';

/**
 * Makes the connection one of a user: for `#server-to-user-<id>`, for presence channels without channel data, and for the
 * HTTP API, which ends the connections of a user. A wrong signature ends the connection.
 */
export function signIn(
  connection: Connection,
  app: PusherApp,
  { auth, userData }: Extract<ClientMessage, { type: 'signin' }>,
  answers: Answers,
): void {
  if (!isUserSignature(app, auth, { socketId: connection.id, userData })) {
    answers.close(connection, 'wrongSignin');
    return;
  }
  const identity = readUserData(userData);
  if ('problem' in identity) {
    answers.refuse(connection, 'invalidUser', identity.problem);
    return;
  }
  if (Buffer.byteLength(identity.info) > app.maxMemberInfoBytes) {
    answers.refuse(connection, 'tooMuchUserInfo');
    return;
  }
  const current = userIdOf(app, connection.user);
  if (current !== undefined && current !== identity.user) {
    answers.refuse(connection, 'otherSignin');
    return;
  }
  connection.user = userOf(app, identity.user);
  const { session } = connection;
  if (session !== undefined) connection.session = withUserInfo(session, identity.info);
  authorize(connection);
  answers.count('app_pusher_signins');
  connection.send(signinSuccess(userData));
}
