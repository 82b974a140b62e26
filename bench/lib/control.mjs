import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** @import { ChangeReport, ChangeStatus } from '@roost/farm' */

const ROOST = fileURLToPath(new URL('../../apps/roost/bin/roost.js', import.meta.url));

/**
 * @typedef {object} Outcome
 * @property {number | null} exitCode
 * @property {ChangeReport | undefined} report
 * @property {string | undefined} reason Why it stopped, or was refused.
 */

/**
 * Has a running farm change, by the command that people use.
 * @param {string} socket Path of its control socket.
 * @param {readonly string[]} command
 * @param {(progress: ChangeReport) => void} [onProgress]
 * @returns {Promise<Outcome>}
 */
export async function control(socket, command, onProgress = () => {}) {
  const child = spawn(process.execPath, [ROOST, ...command, '--json', '--control-socket', socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  /** @type {ChangeReport | undefined} */
  let report;
  /** @type {string | undefined} */
  let reason;
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const answer = JSON.parse(line);
    if (answer.progress !== undefined) onProgress(answer.progress);
    report = answer.done ?? answer.stopped ?? report;
    reason = answer.reason ?? answer.refused ?? reason;
  });
  const [[exitCode]] = await Promise.all([once(child, 'exit'), once(lines, 'close')]);
  return { exitCode, report, reason };
}

/**
 * Who lives, asked without the command, which takes longer to start than some moves take.
 * @param {string} socket
 * @returns {Promise<ChangeStatus>}
 */
export async function readStatus(socket) {
  const connection = connect(socket);
  connection.write('{"command":"status"}\n');
  const lines = createInterface({ input: connection });
  const [line] = await once(lines, 'line');
  connection.destroy();
  return JSON.parse(line).status;
}
