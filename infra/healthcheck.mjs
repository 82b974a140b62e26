/**
 * The container's health check: `node infra/healthcheck.mjs [path]`.
 *
 * Asks the Roost of the same container for `path` (default /health/ready) and exits with 0 when the answer is 200, else
 * with 1. Prints the answer, or why there is none; "docker inspect" shows it. Finds the server by ROOST_HOST and
 * ROOST_PORT, so say these as variables, not as flags or in the file. Where ROOST_PROXY_PROTOCOL is required, it says
 * first that it asks for itself; 127.0.0.1 must then be one of ROOST_TRUSTED_PROXIES. Where ROOST_TLS_CERT is set, it speaks
 * TLS, and takes any certificate: it names the host that clients know, and nobody else answers on our own loopback.
 */
import { get } from 'node:http';
import { connect } from 'node:net';
import { connect as connectSecurely } from 'node:tls';

/** Less than the timeout of HEALTHCHECK, so that it is this script which says what went wrong. */
const TIMEOUT_MS = 3000;

const path = process.argv[2] ?? '/health/ready';
// Empty variables count as left out, as they do in Roost.
const variable = process.env['ROOST_PORT'] || '8080';
// What Kubernetes sets for a Service named roost, and Roost ignores, is an address.
const port = /^[a-z]+:\/\//.test(variable) ? '8080' : variable;
const listensOn = process.env['ROOST_HOST'] || '0.0.0.0';
const host = listensOn === '0.0.0.0' || listensOn === '::' ? '127.0.0.1' : listensOn;

function connectToRoost() {
  const socket = connect({ host, port: Number(port) });
  if (process.env['ROOST_PROXY_PROTOCOL'] === 'required') socket.write('PROXY UNKNOWN\r\n');
  return process.env['ROOST_TLS_CERT'] ? connectSecurely({ socket, rejectUnauthorized: false }) : socket;
}

/** @param {string} message */
function fail(message) {
  console.error(message);
  process.exit(1);
}

const signal = AbortSignal.timeout(TIMEOUT_MS);
const request = get({ host, port, path, signal, createConnection: connectToRoost }, (response) => {
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (chunk) => (body += chunk));
  response.on('end', () => {
    if (response.statusCode !== 200) fail(`${path} answered ${response.statusCode}: ${body}`);
    console.log(body);
  });
  response.on('error', (error) => fail(`${path} broke off: ${error.message}`));
});
request.on('error', (error) => {
  fail(
    error.name === 'AbortError'
      ? `${path} did not answer within ${TIMEOUT_MS} ms`
      : `${path} cannot be asked: ${error.message}`,
  );
});
