import { describe, expect, it } from 'vitest';
import { readVariables } from './variables.ts';

function messages(environment: Readonly<Record<string, string>>): string[] {
  return readVariables(environment).notices.map(({ level, message }) => `${level}: ${message}`);
}

/** What a pod gets for a Service with one port (Kubernetes, "Service", "Environment variables"). */
function serviceLinks(name: string, port: number, portName?: string): Record<string, string> {
  const address = `tcp://10.96.0.5:${port}`;
  return {
    [`${name}_SERVICE_HOST`]: '10.96.0.5',
    [`${name}_SERVICE_PORT`]: String(port),
    ...(portName === undefined ? {} : { [`${name}_SERVICE_PORT_${portName}`]: String(port) }),
    [`${name}_PORT`]: address,
    [`${name}_PORT_${port}_TCP`]: address,
    [`${name}_PORT_${port}_TCP_PROTO`]: 'tcp',
    [`${name}_PORT_${port}_TCP_PORT`]: String(port),
    [`${name}_PORT_${port}_TCP_ADDR`]: '10.96.0.5',
  };
}

describe('the environment', () => {
  it('has the variables of Roost that are not empty', () => {
    const { variables, notices } = readVariables({
      ROOST_PORT: '9000',
      ROOST_CONFIG: 'roost.yaml',
      ROOST_HOST: '',
      PATH: '/bin',
    });
    expect([...variables]).toEqual([
      ['ROOST_PORT', '9000'],
      ['ROOST_CONFIG', 'roost.yaml'],
    ]);
    expect(notices).toEqual([]);
  });

  it.each([
    ['roost', serviceLinks('ROOST', 8080, 'HTTP')],
    ['roost, with a port that has no name', serviceLinks('ROOST', 80)],
    ['roost-redis', serviceLinks('ROOST_REDIS', 6379)],
    ['roost-v2-api, with a port ws-tls', serviceLinks('ROOST_V2_API', 443, 'WS_TLS')],
    ['of UDP', { ROOST_PORT: 'udp://10.96.0.5:53', ROOST_PORT_53_UDP: 'udp://10.96.0.5:53' }],
    ['of IPv6', { ROOST_PORT: 'tcp://[fd00::5]:80', ROOST_PORT_80_TCP: 'tcp://[fd00::5]:80' }],
  ])('of a Kubernetes Service %s is ignored, with one line that says how to be without', (_, links) => {
    const { variables } = readVariables({ ...links, ROOST_WORKERS: '2' });
    expect([...variables]).toEqual([['ROOST_WORKERS', '2']]);
    const [first = ''] = Object.keys(links);
    expect(messages(links)).toEqual([
      `info: ${first} and ${Object.keys(links).length - 1} more were set by Kubernetes for a Service, and are ignored. "enableServiceLinks: false" in the spec of the pod leaves such variables out.`,
    ]);
  });

  it('refuses the old name of an option, and says the new one', () => {
    expect(() => readVariables({ ROOST_MAX_CHANNEL_BUFFER_BYTES: '65536' })).toThrow(
      'ROOST_MAX_CHANNEL_BUFFER_BYTES is called ROOST_MAX_WORKER_LINK_BYTES now. Rename it.',
    );
  });

  it.each(['tcp://', 'tcp://localhost:80', 'http://10.96.0.5:80', 'tcp://10.96.0.5'])(
    'with ROOST_PORT=%s is not of a Service',
    (value) => {
      expect(readVariables({ ROOST_PORT: value }).variables.get('ROOST_PORT')).toBe(value);
    },
  );

  it.each([
    ['ROOST_WOKERS', 'Did you mean ROOST_WORKERS?'],
    ['ROOST_REDIS_PORT', 'Did you mean ROOST_REDIS_URL?'],
    ['ROOST_TELEPATHY_ENABLED', 'See "roost start --help" for all variables.'],
  ])('with an unknown %s is warned about, with the nearest name', (name, hint) => {
    expect(messages({ [name]: '2' })).toEqual([
      `warn: ${name} is not a variable of Roost, and is ignored. ${hint}`,
    ]);
  });
});
