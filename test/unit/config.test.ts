/** Every setting: its default, values that it takes, values that it refuses by name. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Config,
  describeConfig,
  type Environment,
  parseConfig,
  parseDatabaseUrl,
  withoutPassword,
} from '../../src/config.ts'
import { WalhookError } from '../../src/lifecycle/errors.ts'
import { adminToken, bool, name } from './setting-cases.ts'

const URL_A = 'postgres://walhook:secret@db.example.com:5432/shop'
const URL_B = 'postgresql://replicator:secret@db.example.com/shop?sslmode=require'
const [KEY_A, ID_A] = ['q83vEjRWeJCrze8SNFZ4kA7trC+PaldJ8XHq0x2+Vls=', '4e373a63']
const [KEY_B, ID_B] = ['Zk3v8wqYB1d0X0Qm6u9Vt3gk2b7yQdJmS8cN5rT4xHo=', 'f855a1b1']
const DAY_MS = 86_400_000

const parse = (environment: Environment): Config => parseConfig({ DATABASE_URL: URL_A, ...environment })

/** What a person is told. */
function complaint(environment: Environment): string {
  try {
    parseConfig(environment)
  } catch (error) {
    if (error instanceof WalhookError && error.code === 'configuration') return error.message
    throw error
  }
  throw new Error('the configuration was accepted')
}

interface Setting {
  readonly name: string
  readonly key: keyof Config
  readonly byDefault: unknown
  readonly good: readonly (readonly [text: string, value: unknown])[]
  readonly bad: readonly string[]
  readonly rule: string
}

const count = {
  good: [
    ['1', 1],
    ['10000', 10_000],
  ],
  bad: ['0', '10001', '-1', '1.5', '1e3', 'many', ' 1', '0x10'],
  rule: 'has to be',
} as const
const retention = (outbox: number, deliveries: number, attempts: number) => ({
  outboxMs: outbox * DAY_MS,
  deliveriesMs: deliveries * DAY_MS,
  attemptsMs: attempts * DAY_MS,
})

const SETTINGS: readonly Setting[] = [
  {
    name: 'WALHOOK_REPLICATION_URL',
    key: 'replicationUrl',
    byDefault: URL_A,
    good: [[URL_B, URL_B]],
    bad: [
      'db.example.com',
      'http://db.example.com/shop',
      'postgres:db',
      'postgres://user:pass@/x',
      ' postgres://h/d',
    ],
    rule: 'has to be a URL like postgres://user:password@host:5432/database',
  },
  {
    name: 'WALHOOK_PLUGIN',
    key: 'plugin',
    byDefault: 'auto',
    good: [
      ['auto', 'auto'],
      ['wal2json', 'wal2json'],
      ['pgoutput', 'pgoutput'],
    ],
    bad: ['test_decoding', 'AUTO', 'wal2json '],
    rule: 'has to be auto, wal2json or pgoutput',
  },
  { name: 'WALHOOK_SLOT', key: 'slotName', byDefault: 'walhook', ...name },
  { name: 'WALHOOK_PUBLICATION', key: 'publicationName', byDefault: 'walhook', ...name },
  {
    name: 'WALHOOK_SOURCES',
    key: 'sources',
    byDefault: [],
    good: [
      [
        'public.outbox=debezium',
        [
          {
            schema: 'public',
            table: 'outbox',
            columns: { id: 'id', type: ['aggregatetype', 'type'], key: 'aggregateid', payload: 'payload' },
          },
        ],
      ],
    ],
    bad: ['public.outbox', 'outbox=debezium', 'public.outbox=kafka', 'a.b=nestarc a.b=nestarc'],
    rule: 'has a wrong entry, ',
  },
  {
    name: 'WALHOOK_LISTEN',
    key: 'listen',
    byDefault: { host: '127.0.0.1', port: 8788 },
    good: [
      ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
      ['localhost:0', { host: 'localhost', port: 0 }],
      ['[::1]:65535', { host: '::1', port: 65_535 }],
      ['[::]:8788', { host: '::', port: 8788 }],
    ],
    bad: [
      '8788',
      ':8788',
      'localhost',
      'localhost:',
      'localhost:65536',
      '::1:8788',
      'a b:1',
      'localhost:http',
      'h:1/x',
    ],
    rule: 'has to be host:port, like 127.0.0.1:8788',
  },
  { name: 'WALHOOK_ADMIN_TOKEN', key: 'adminToken', byDefault: undefined, ...adminToken },
  { name: 'WALHOOK_AUTO_MIGRATE', key: 'autoMigrate', byDefault: true, ...bool },
  {
    name: 'WALHOOK_ENCRYPTION_KEY',
    key: 'encryptionKeys',
    byDefault: [],
    good: [
      [KEY_A, [{ id: ID_A, key: expect.anything() }]],
      [`${KEY_B}, ${KEY_A}`, [expect.objectContaining({ id: ID_B }), expect.objectContaining({ id: ID_A })]],
    ],
    bad: ['secret', KEY_A.slice(0, -4), `${KEY_A},`, `${KEY_A},${KEY_A}`, 'A'.repeat(43) + '='],
    rule: 'has to',
  },
  { name: 'WALHOOK_ALLOW_HTTP', key: 'allowHttp', byDefault: false, ...bool },
  {
    name: 'WALHOOK_ALLOW_NETWORKS',
    key: 'allowNetworks',
    byDefault: [],
    good: [
      [' , ', []],
      ['10.0.0.0/8', [expect.objectContaining({ text: '10.0.0.0/8', prefixBits: 8 })]],
      [
        '10.0.0.0/8, fd00::/8 ,192.168.1.1',
        ['10.0.0.0/8', 'fd00::/8', '192.168.1.1'].map((text): unknown => expect.objectContaining({ text })),
      ],
    ],
    bad: ['10.0.0.0/33', 'all', '10.0.0.0/8;fd00::/8', '10.0.0.0/8,internal', '10/8'],
    rule: 'has to be a list of networks like 10.0.0.0/8,fd00::/8; not one:',
  },
  {
    name: 'WALHOOK_PROXY',
    key: 'proxy',
    byDefault: undefined,
    good: [
      [
        'http://proxy.internal:3128',
        { protocol: 'http:', hostname: 'proxy.internal', port: 3128, authorization: undefined },
      ],
      [
        'https://us%40er:p%3Aß@[::1]/',
        {
          protocol: 'https:',
          hostname: '::1',
          port: 443,
          authorization: `Basic ${Buffer.from('us@er:p:ß').toString('base64')}`,
        },
      ],
      ['http://10.0.0.1', expect.objectContaining({ hostname: '10.0.0.1', port: 80 })],
      ['http://user@h', expect.objectContaining({ authorization: `Basic ${btoa('user:')}` })],
    ],
    bad: [
      'proxy.internal:3128',
      'socks5://proxy.internal',
      'http://proxy.internal/path',
      'http://proxy.internal?a=b',
      'http://proxy.internal#',
      'http://proxy.internal:0',
      'http://',
      'http://user:100%@proxy.internal',
    ],
    rule: 'has to be a URL like http://user:password@proxy.internal:3128, without a path',
  },
  {
    name: 'WALHOOK_ORIGIN',
    key: 'origin',
    byDefault: 'walhook',
    good: ['webhooks.example.com', 'xn--bcher-kva.example'].map((name) => [name, name] as const),
    bad: ['https://example.com', 'a b', '*', 'example.com:443', '-a', 'a..b', `${'a'.repeat(64)}.example`],
    rule: 'has to be the name of a host, like webhooks.example.com',
  },
  { name: 'WALHOOK_MAX_IN_FLIGHT', key: 'maxInFlight', byDefault: 256, ...count },
  { name: 'WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT', key: 'maxInFlightPerEndpoint', byDefault: 64, ...count },
  {
    name: 'WALHOOK_EVENT_TYPES',
    key: 'eventTypes',
    byDefault: 'open',
    good: [
      ['open', 'open'],
      ['warn', 'warn'],
      ['strict', 'strict'],
    ],
    bad: ['STRICT', 'closed', 'true', ' strict'],
    rule: 'has to be open, warn or strict',
  },
  {
    name: 'WALHOOK_RETENTION',
    key: 'retention',
    byDefault: retention(7, 30, 14),
    good: [
      ['3d', retention(3, 3, 3)],
      ['3', retention(3, 3, 3)],
      ['outbox=1d', retention(1, 30, 14)],
      ['deliveries=90d, attempts=2d', retention(7, 90, 2)],
      ['10d,attempts=1d', retention(10, 10, 1)],
    ],
    bad: [
      '0d',
      '-1d',
      '7h',
      '1w',
      'outbox=',
      'slots=7d',
      'outbox=7d,',
      'deliveries=3d',
      'outbox=31d',
      '100000d',
    ],
    rule: 'has to',
  },
  {
    name: 'WALHOOK_SHUTDOWN_GRACE',
    key: 'shutdownGraceMs',
    byDefault: 25_000,
    good: [
      ['0s', 0],
      ['500ms', 500],
      ['2m', 120_000],
    ],
    bad: ['25', '-5s', '1.5s', 'forever'],
    rule: 'has to be a duration like 500ms, 5s, 10m, 2h or 5d',
  },
  {
    name: 'WALHOOK_LOG_LEVEL',
    key: 'logLevel',
    byDefault: 'info',
    good: ['trace', 'debug', 'info', 'warn', 'error', 'silent'].map((level) => [level, level] as const),
    bad: ['verbose', 'INFO', 'fatal'],
    rule: 'has to be trace, debug, info, warn, error or silent',
  },
]

describe.each(SETTINGS)('$name', ({ name, key, byDefault, good, bad, rule }) => {
  test('has a default, for a variable that is empty as for one that is not set', () => {
    expect(parse({})[key]).toEqual(byDefault)
    expect(parse({ [name]: '' })[key]).toEqual(byDefault)
    expect(parse({ [name]: undefined })[key]).toEqual(byDefault)
  })

  test.each(good)('takes %j', (text, value) => {
    expect(parse({ [name]: text })[key]).toEqual(value)
  })

  test.each(bad)('refuses %j, and says which setting is wrong', (text) => {
    const said = complaint({ DATABASE_URL: URL_A, [name]: text })
    expect(said.startsWith(`${name} ${rule}`)).toBe(true)
    expect(said).not.toContain('; WALHOOK_')
  })
})

test('the table above has every setting', () => {
  const keys = new Set(['databaseUrl', 'traces', ...SETTINGS.map(({ key }) => key)])
  expect(new Set(Object.keys(parse({})))).toEqual(keys)
})

describe('DATABASE_URL', () => {
  test('has to be set', () => {
    expect(complaint({})).toBe('DATABASE_URL is not set')
    expect(complaint({ DATABASE_URL: '' })).toBe('DATABASE_URL is not set')
  })

  test.each([URL_A, URL_B, 'postgres://h/d', 'postgres://u:p%40ss@[::1]:5433/d'])('takes %s', (url) => {
    expect(parseConfig({ DATABASE_URL: url }).databaseUrl).toBe(url)
    expect(parseDatabaseUrl({ DATABASE_URL: url })).toBe(url)
  })

  test('that is no URL is refused, and not repeated: it may hold a password', () => {
    const said = complaint({ DATABASE_URL: 'host=db password=hunter2' })
    expect(said).toBe('DATABASE_URL has to be a URL like postgres://user:password@host:5432/database')
  })
})

test.each(['WALHOOK_SLOTS', 'WALHOOK_', 'WALHOOK_slot', 'WALHOOK_DATABASE_URL'])(
  '%s is not a setting, and is told by its name',
  (unknown) => {
    expect(complaint({ DATABASE_URL: URL_A, [unknown]: 'x' })).toBe(`${unknown} is not a setting of Walhook`)
  },
)

test('what is not ours is none of our business', () => {
  expect(() =>
    parse({ PATH: '/bin', DATABASE_URLS: 'x', walhook_slot: 'X', MY_WALHOOK_SLOT: 'X' }),
  ).not.toThrow()
})

test('every setting that is wrong is named at once', () => {
  const said = complaint({ WALHOOK_SLOT: 'A', WALHOOK_PLUGIN: 'x', WALHOOK_TYPO: '1' })
  for (const name of ['DATABASE_URL', 'WALHOOK_SLOT', 'WALHOOK_PLUGIN', 'WALHOOK_TYPO'])
    expect(said).toContain(name)
})

describe('the start-up line', () => {
  test('describes every setting in the words of the documentation', () => {
    expect(
      describeConfig(
        parse({
          WALHOOK_REPLICATION_URL: URL_B,
          WALHOOK_ALLOW_NETWORKS: '10.0.0.0/8',
          WALHOOK_ENCRYPTION_KEY: `${KEY_A},${KEY_B}`,
          WALHOOK_PROXY: 'https://user:secret@[fd00::1]:8443',
          WALHOOK_SOURCES: 'public.outbox=debezium; "Sales".events=nestarc',
        }),
      ),
    ).toEqual({
      database: 'postgres://db.example.com:5432/shop',
      replication: 'postgres://db.example.com/shop',
      plugin: 'auto',
      slot: 'walhook',
      publication: 'walhook',
      sources: ['public.outbox', '"Sales".events'],
      listen: '127.0.0.1:8788',
      admin_token: 'none',
      auto_migrate: true,
      encryption_keys: [ID_A, ID_B],
      allow_http: false,
      allow_networks: 1,
      proxy: 'https://[fd00::1]:8443',
      origin: 'walhook',
      max_in_flight: 256,
      max_in_flight_per_endpoint: 64,
      event_types: 'open',
      retention: { outbox: '7d', deliveries: '30d', attempts: '14d' },
      shutdown_grace: '25s',
      log_level: 'info',
      traces: 'off',
    })
  })

  // Long enough not to stand in the description by chance.
  const password = fc.string({ unit: 'grapheme', minLength: 6, maxLength: 40 }).map((text) => `pw${text}`)
  const urls = fc.tuple(password, password).map(([a, b]) => ({
    secrets: [a, b, encodeURIComponent(a), encodeURIComponent(b)],
    inUserInfo: `postgres://walhook:${encodeURIComponent(a)}@db.example.com:5432/shop`,
    inQuery: `postgres://db.example.com/shop?user=walhook&password=${encodeURIComponent(b)}`,
    inProxy: `http://walhook:${encodeURIComponent(b)}@proxy.internal:3128`,
  }))

  test('holds no password, whatever it is and wherever the URL has it', () => {
    fc.assert(
      fc.property(urls, ({ secrets, inUserInfo, inQuery, inProxy }) => {
        const line = JSON.stringify(
          describeConfig(
            parseConfig({
              DATABASE_URL: inUserInfo,
              WALHOOK_REPLICATION_URL: inQuery,
              WALHOOK_PROXY: inProxy,
            }),
          ),
        )
        for (const secret of secrets) expect(line).not.toContain(secret)
        expect(line).not.toContain('walhook:')
      }),
    )
  })

  test('neither does the complaint about another setting', () => {
    fc.assert(
      fc.property(urls, ({ secrets, inUserInfo, inQuery, inProxy }) => {
        const said = complaint({
          DATABASE_URL: inUserInfo,
          WALHOOK_REPLICATION_URL: `x${inQuery}`,
          WALHOOK_PROXY: `${inProxy}/path`,
          WALHOOK_SLOT: 'A',
        })
        for (const secret of secrets) expect(said).not.toContain(secret)
      }),
    )
  })

  test('an encryption key that is refused is not repeated', () => {
    for (const text of [KEY_A.slice(1), `${KEY_A},${KEY_B.slice(1)}`, `${KEY_A},${KEY_A}`]) {
      const said = complaint({ DATABASE_URL: URL_A, WALHOOK_ENCRYPTION_KEY: text })
      expect(said).toContain('WALHOOK_ENCRYPTION_KEY has to')
      for (const part of [KEY_A.slice(1, 9), KEY_B.slice(1, 9)]) expect(said).not.toContain(part)
    }
  })

  test('withoutPassword keeps host and database', () => {
    expect(withoutPassword('postgresql://u:p@[::1]:5433/shop?password=p#p')).toBe(
      'postgres://[::1]:5433/shop',
    )
  })
})
