import { describe, expect, it } from 'vitest';
import { run } from './fixtures/command-line.ts';

describe('roost', () => {
  it('prints its help', async () => {
    const { printed, exitCode } = await run(['--help']);
    await expect(printed).toMatchFileSnapshot('./help/roost.txt');
    expect(exitCode).toBe(0);
    expect((await run([])).printed).toBe(printed);
  });

  it('prints the help of start', async () => {
    const { printed, exitCode } = await run(['start', '--help']);
    await expect(printed).toMatchFileSnapshot('./help/start.txt');
    expect(exitCode).toBe(0);
  });

  it.each([
    [['-h'], ['--help']],
    [['help'], ['--help']],
    [
      ['start', '-h'],
      ['start', '--help'],
    ],
    [
      ['help', 'start'],
      ['start', '--help'],
    ],
    [
      ['help', 'check-config'],
      ['check-config', '--help'],
    ],
    [
      ['help', 'doctor'],
      ['doctor', '--help'],
    ],
    [
      ['help', 'dev'],
      ['dev', '--help'],
    ],
    [
      ['help', 'init'],
      ['init', '--help'],
    ],
  ])('prints the same help for %j as for %j', async (words, others) => {
    const { printed, errors, exitCode } = await run(words);
    expect(printed).toBe((await run(others)).printed);
    expect(printed).toMatch(/^Usage: roost/);
    expect({ errors, exitCode }).toEqual({ errors: '', exitCode: 0 });
  });

  it.each([
    [['--borrow-messages'], true],
    [['--borrow-messages=true'], true],
    [['--borrow-messages', 'true'], true],
    [['--borrow-messages=false'], false],
    [['--borrow-messages', 'false'], false],
    [['--no-borrow-messages'], false],
    [['--borrow-messages', '--borrow-messages=false'], false],
    [['--borrow-messages', 'chat.js'], true],
    [['chat.js', '--borrow-messages', 'false'], false],
  ])('takes the switch %j as %j, and no application for its value', async (words, value) => {
    const { started } = await run(['start', ...words], { ROOST_BORROW_MESSAGES: String(!value) });
    expect(started?.borrowMessages).toBe(value);
    expect(started?.app).toBe(words.includes('chat.js') ? '/srv/chat.js' : null);
  });

  it('takes what stands behind -- as the application', async () => {
    expect((await run(['start', '--', '--borrow-messages=false'])).started).toMatchObject({
      app: '/srv/--borrow-messages=false',
      borrowMessages: false,
    });
  });

  it('starts all the same, and check-config says so on stderr, when variables are not its own', async () => {
    const environment = { ROOST_WOKERS: '2', ROOST_PORT: 'tcp://10.96.0.5:8080' };
    expect((await run(['start'], environment)).started).toMatchObject({ port: 8080, workers: null });
    const { printed, errors, exitCode } = await run(['check-config'], environment);
    expect(printed).toMatch(/^port: 8080 +# default$/m);
    expect(errors).toBe(
      'ROOST_PORT was set by Kubernetes for a Service, and is ignored. "enableServiceLinks: false" in the spec of the pod leaves such variables out.\n' +
        'ROOST_WOKERS is not a variable of Roost, and is ignored. Did you mean ROOST_WORKERS?\n',
    );
    expect(exitCode).toBe(0);
  });

  it('prints its version', async () => {
    expect(await run(['--version'])).toMatchObject({ printed: '1.2.3\n', exitCode: 0 });
  });

  it('starts with the application and flags of the command line', async () => {
    const { started, exitCode } = await run([
      'start',
      'chat.js',
      '--port=9000',
      '--plain-client-publish',
      '--api-max-body-bytes',
      '4096',
      '--no-borrow-messages',
    ]);
    expect(exitCode).toBe(0);
    expect(started).toMatchObject({
      app: '/srv/chat.js',
      port: 9000,
      'plain.clientPublish': true,
      'api.maxBodyBytes': 4096,
      borrowMessages: false,
    });
  });

  it('dev takes what start takes, and passes the words on as they are', async () => {
    const words = ['chat.ts', '--port=9000', '--compression', 'on', '--'];
    expect(await run(['dev', ...words])).toMatchObject({
      exitCode: 0,
      watched: words,
      started: { app: '/srv/chat.ts', port: 9000, compression: 'on' },
    });
    expect(await run(['dev', 'chat.ts', '--workers', '0'])).toMatchObject({
      exitCode: 78,
      started: undefined,
    });
  });

  it('doctor takes what start takes, how many connections to check for, and how to print', async () => {
    expect(
      await run(['doctor', '--connections', '1000000', '--json', '--port=9000', 'chat.ts']),
    ).toMatchObject({
      exitCode: 0,
      asked: { connections: 1_000_000, isJson: true },
      started: { app: '/srv/chat.ts', port: 9000 },
    });
    expect((await run(['doctor'])).asked).toEqual({ connections: undefined, isJson: false });
  });

  it.each([
    [
      ['doctor', '--connections', '0'],
      '--connections must be an integer from 1 to 100000000 connections, got "0". Leave it out for maxConnections.',
    ],
    [['start', '--json'], `unknown option '--json'. See "roost start --help".`],
    [['start', '--prot', '1'], "unknown option '--prot' (Did you mean --port?)"],
    [
      ['start', '--max-channel-buffer-bytes=65536'],
      '--max-channel-buffer-bytes is called --max-worker-link-bytes now. Rename it.',
    ],
    [['strat'], "unknown command 'strat' (Did you mean start?)"],
    [['server'], `unknown command 'server'. See "roost --help".`],
    [['help', 'server'], `unknown command 'server'. See "roost --help".`],
    [['workers'], `missing required argument 'n'. See "roost workers --help".`],
    [['start', '--port'], `option '--port <n>' argument missing. See "roost start --help".`],
    [
      ['start', 'a.js', 'b.js'],
      `too many arguments for 'start'. Expected 1 argument but got 2. See "roost start --help".`,
    ],
    [
      ['start', '--workers', '0'],
      '--workers must be an integer from 1 to 1024, got 0. Leave it out to use one worker per CPU.',
    ],
    [
      ['start', '--borrow-messages=on'],
      '--borrow-messages must be true or false, got "on". Leave it out to leave it off.',
    ],
    [['help', 'strat'], "unknown command 'strat' (Did you mean start?)"],
    [
      ['check-config', '--port', 'x'],
      '--port must be an integer from 0 to 65535, got "x". Leave it out for the default of 8080.',
    ],
    [
      ['start', '--trusted-proxies', '::1,proxy'],
      '--trusted-proxies must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got "proxy". Leave it out to trust none.',
    ],
  ])('answers %j with one line and exit code 78', async (words, message) => {
    expect(await run(words)).toEqual({
      exitCode: 78,
      printed: '',
      errors: `${message}\n`,
      started: undefined,
    });
  });

  it.each(['start', 'check-config'])('%s refuses a URL of Redis without showing it', async (command) => {
    for (const url of [
      'redis://:p@ssw0rd/hunter2#x@h:6379',
      'redis://h:1,h:2',
      'redis://h:99999',
      'redis:///run/redis.sock',
      'redis+sentinel://h:26379',
    ]) {
      const { exitCode, errors, printed, started } = await run([command, '--redis-url', url]);
      expect([exitCode, printed, started]).toEqual([78, '', undefined]);
      expect(errors).toMatch(
        new RegExp(
          `^--redis-url must be a redis://.*, got a value of ${url.length} characters, not shown here: .*\\. Leave it out .*\\n$`,
        ),
      );
      expect(errors).not.toMatch(/hunter2|ssw0rd/);
    }
  });

  it.each([
    [['reload'], { command: 'reload' }],
    [['reload', '--canary', '5%'], { command: 'canary', share: 0.05 }],
    [['reload', '--continue'], { command: 'continue' }],
    [['reload', '--rollback'], { command: 'rollback' }],
    [['workers', '6'], { command: 'workers', workers: 6 }],
    [['rebalance'], { command: 'rebalance' }],
    [['status', '--json'], { command: 'status' }],
  ])('%j tells a running farm', async (words, command) => {
    const { told, started, exitCode } = await run([...words, '--port', '9000', '--control-socket', 'c.sock']);
    expect(told).toEqual(command);
    expect(started).toMatchObject({ port: 9000, controlSocket: '/srv/c.sock' });
    expect(exitCode).toBe(0);
  });

  it.each([
    [['workers', 'many'], 'The number of workers must be an integer from 1 to 1024, got "many".'],
    [['workers', '0'], 'The number of workers must be an integer from 1 to 1024, got "0".'],
    [['reload', '--canary', '5'], '--canary must be a percentage above 0% and up to 50%, got "5".'],
    [['reload', '--canary', '51%'], '--canary must be a percentage above 0% and up to 50%, got "51%".'],
    [['reload', '--continue', '--rollback'], 'Only one of --canary, --continue and --rollback can be meant.'],
  ])('%j is refused with one sentence', async (words, sentence) => {
    expect(await run(words)).toMatchObject({ exitCode: 78, errors: `${sentence}\n` });
  });

  it('leaves "off" what it is, where a path may be', async () => {
    expect((await run(['start', '--control-socket', 'off'])).started?.controlSocket).toBe('off');
  });

  it('check-config prints lists as the file takes them', async () => {
    const words = ['check-config', '--trusted-proxies', '10.0.0.0/8,::1'];
    const { printed } = await run(words);
    expect(printed).toMatch(/^trustedProxies: \[ 10\.0\.0\.0\/8, ::1 \] +# --trusted-proxies$/m);
    expect((await run(['check-config'])).printed).toMatch(/^trustedProxies: \[\] +# default$/m);
  });

  it('check-config prints each value with its source, and no secret', async () => {
    const { printed, exitCode } = await run(['check-config', '--redis-url', 'redis://:hunter2@redis:6379'], {
      ROOST_API_KEY: 'sesame',
      ROOST_PORT: '9000',
    });
    expect(exitCode).toBe(0);
    expect(printed).toMatch(/^port: 9000 +# ROOST_PORT$/m);
    expect(printed).toMatch(/^host: 0\.0\.0\.0 +# default$/m);
    expect(printed).toMatch(/^# workers: left out to use one worker per CPU$/m);
    expect(printed).toMatch(
      /^api:\n {2}# key: \*{8} \(ROOST_API_KEY\)\n {2}maxBodyBytes: 1048576 +# default$/m,
    );
    expect(printed).toMatch(/^# redisUrl: \*{8} \(--redis-url\)$/m);
    expect(printed).not.toMatch(/hunter2|sesame/);
  });
});
