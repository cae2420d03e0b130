/** What `walhook doctor` says of what it finds: every judgement, with the facts made up and the lines that are to be copied. */
import { describe, expect, test } from 'vitest'
import { formatAge, formatBytes, plural, sqlName, sqlText, type Verdict } from '../../src/core/doctor.ts'
import { allowListOf, judgePlugin, listedPlugins, type PluginFacts } from '../../src/core/doctor-plugin.ts'
import {
  judgeClock,
  judgeDurability,
  judgePrimary,
  judgeSenders,
  judgeSlotLimit,
  judgeSlots,
  judgeTimeouts,
  judgeVersion,
  judgeWalLevel,
  type ServerFacts,
} from '../../src/core/doctor-server.ts'

const status = ({ status: said }: Verdict): string => said
const steps = (verdict: Verdict): readonly string[] =>
  'steps' in verdict ? verdict.steps.map(({ text }) => text) : []

function server(
  changes: Partial<ServerFacts> = {},
  settings: Readonly<Record<string, string | [string, string]>> = {},
): ServerFacts {
  const all = { wal_level: 'logical', max_wal_senders: '10', max_replication_slots: '10', ...settings }
  return {
    version: 180_006,
    isInRecovery: false,
    database: 'shop',
    login: 'walhook',
    isSuperuser: false,
    seesOthers: false,
    isUtf8: true,
    senders: 0,
    slots: 0,
    slotExists: false,
    slotIsActive: false,
    physicalSlots: [],
    ...changes,
    settings: Object.fromEntries(
      Object.entries(all).map(([name, value]) =>
        typeof value === 'string'
          ? [name, { setting: value, unit: null }]
          : [name, { setting: value[0], unit: value[1] }],
      ),
    ),
  }
}

describe('the server', () => {
  test.each([
    [130_022, 'problem'],
    [140_014, 'warning'],
    [140_018, 'warning'],
    [140_019, 'ok'],
    [150_009, 'warning'],
    [150_013, 'warning'],
    [150_014, 'ok'],
    [160_000, 'warning'],
    [170_001, 'warning'],
    [170_005, 'warning'],
    [170_006, 'ok'],
    [180_000, 'ok'],
    [190_001, 'ok'],
  ])('of version %i is judged %s', (version, said) => {
    expect(status(judgeVersion(server({ version })))).toBe(said)
  })

  test('names the minor release that has none of the faults', () => {
    expect(steps(judgeVersion(server({ version: 170_001 })))[0]).toContain('17.6')
  })

  test('has to be a primary whose log can be decoded', () => {
    expect(status(judgePrimary(server()))).toBe('ok')
    expect(steps(judgePrimary(server({ isInRecovery: true })))[0]).toContain('pg_promote()')
    expect(status(judgeWalLevel(server()))).toBe('ok')
    expect(steps(judgeWalLevel(server({}, { wal_level: 'replica' })))[0]).toBe(
      'ALTER SYSTEM SET wal_level = logical;',
    )
  })

  test.each([
    [0, false, 'ok'],
    [8, false, 'ok'],
    [9, false, 'warning'],
    [9, true, 'ok'],
    [10, true, 'warning'],
    [10, false, 'problem'],
  ])('with %i of 10 senders in use, our slot streamed: %s, is judged %s', (senders, slotIsActive, said) => {
    expect(status(judgeSenders(server({ senders, slotIsActive })))).toBe(said)
  })

  test('needs a slot to be free unless ours is there', () => {
    expect(status(judgeSlots(server({ slots: 9 })))).toBe('ok')
    expect(status(judgeSlots(server({ slots: 10, slotExists: true })))).toBe('ok')
    expect(steps(judgeSlots(server({ slots: 10 })))).toContain('ALTER SYSTEM SET max_replication_slots = 15;')
  })

  test('should limit what a slot keeps, and not forget an idle one within a day', () => {
    expect(status(judgeSlotLimit(server({}, { max_slot_wal_keep_size: '10240' })))).toBe('ok')
    expect(status(judgeSlotLimit(server({}, { max_slot_wal_keep_size: '-1' })))).toBe('warning')
    const idle = (seconds: string): string =>
      status(judgeTimeouts(server({}, { idle_replication_slot_timeout: [seconds, 's'] })))
    expect([idle('0'), idle('3600'), idle('172800')]).toEqual(['ok', 'warning', 'ok'])
    expect(steps(judgeTimeouts(server({}, { wal_sender_timeout: ['0', 'ms'] })))[0]).toContain("'60s'")
  })

  test.each([
    ['nothing odd', {}, {}, 'ok'],
    [
      'a standby that is waited for and away',
      { synchronous_standby_names: 's1' },
      { synchronousStandbys: 0 },
      'problem',
    ],
    ['one that is there', { synchronous_standby_names: 's1' }, { synchronousStandbys: 1 }, 'ok'],
    ['one that the login may not see', { synchronous_standby_names: 's1' }, {}, 'ok'],
    ['fsync off', { fsync: 'off' }, {}, 'warning'],
    ['commits that are told early', {}, { synchronousCommit: 'off' }, 'warning'],
    ['those of a role', {}, { offFor: ['role shop'] }, 'warning'],
  ] as const)('with %s', (_what, settings, found, said) => {
    const durability = { synchronousStandbys: undefined, offFor: [], synchronousCommit: 'on', ...found }
    expect(status(judgeDurability(server({}, settings), durability))).toBe(said)
  })

  test.each([
    [0, 1, 'ok'],
    [1_500, 1, 'ok'],
    [-3_000, 1, 'warning'],
    [3_000, 2_000, 'ok'],
    [299_000, 1, 'warning'],
    [-400_000, 1, 'problem'],
  ])('whose clock is %i ms off, give or take %i, is judged %s', (aheadMs, uncertaintyMs, said) => {
    expect(status(judgeClock({ aheadMs, uncertaintyMs }))).toBe(said)
  })
})

describe('the plugin', () => {
  const facts = (changes: Partial<PluginFacts> = {}): PluginFacts => ({
    login: 'walhook',
    choice: 'auto',
    slotPlugin: undefined,
    slotIsActive: false,
    refusal: undefined,
    wal2jsonFits: true,
    hasWal2json: true,
    allowList: { kind: 'none' },
    ...changes,
  })
  const list = (text: string) => ({ kind: 'list', text }) as const

  test.each([
    ['pgoutput, test_decoding', ['pgoutput', 'test_decoding']],
    ['PGOUTPUT,wal2json ', ['pgoutput', 'wal2json']],
    ['pgoutput, "Foo", "a ""b"""', ['pgoutput', 'Foo', 'a "b"']],
    ['"pgoutput, wal2json"', ['pgoutput, wal2json']],
    ['', []],
  ])('%s is a list of its names', (text, names) => {
    expect(listedPlugins(text)).toEqual(names)
  })

  test.each([
    [140_022, 'none'],
    [140_023, 'hidden'],
    [150_018, 'none'],
    [160_015, 'hidden'],
    [170_011, 'hidden'],
    [180_004, 'none'],
    [180_006, 'hidden'],
    [190_000, 'hidden'],
  ])('of server %i a list that is not shown is %s', (version, kind) => {
    expect(allowListOf(version, undefined).kind).toBe(kind)
    expect(allowListOf(version, 'pgoutput').kind).toBe('list')
  })

  test('that the list lacks comes with the line that keeps what is listed', () => {
    const verdict = judgePlugin(
      facts({ slotPlugin: 'wal2json', allowList: list('pgoutput, "test decoding", "it\'s"') }),
    )
    expect(verdict).toMatchObject({ status: 'problem', why: expect.stringContaining('keeps log') })
    expect(steps(verdict)[0]).toBe(
      `ALTER SYSTEM SET output_plugin_libraries = pgoutput, 'test decoding', 'it''s', wal2json;`,
    )
  })

  test('that stands in one quoted string is explained, and taken apart', () => {
    const verdict = judgePlugin(
      facts({ choice: 'wal2json', allowList: list('"pgoutput, test_decoding, wal2json"') }),
    )
    expect(verdict.summary).toContain('one quoted string')
    expect(steps(verdict)[0]).toBe(
      'ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding, wal2json;',
    )
  })

  test.each<[string, Partial<PluginFacts>, string]>([
    ['auto takes wal2json', {}, 'ok'],
    ['auto takes pgoutput where wal2json is not listed', { allowList: list('pgoutput') }, 'ok'],
    ['auto finds nothing listed', { allowList: list('test_decoding') }, 'problem'],
    ['the slot decodes', { slotPlugin: 'pgoutput' }, 'ok'],
    ['the slot has a plugin that is gone', { slotPlugin: 'wal2json', hasWal2json: false }, 'problem'],
    ['it is streamed all the same', { slotPlugin: 'wal2json', hasWal2json: false, slotIsActive: true }, 'ok'],
    ['wal2json was asked for and is not there', { choice: 'wal2json', hasWal2json: false }, 'problem'],
    ['the list is hidden', { slotPlugin: 'wal2json', allowList: { kind: 'hidden' } }, 'skipped'],
    [
      'the list is hidden, and the slot streamed',
      { slotPlugin: 'wal2json', allowList: { kind: 'hidden' }, slotIsActive: true },
      'ok',
    ],
    ['the start would refuse', { refusal: { message: 'no', remedy: 'do' } }, 'problem'],
  ])('where %s', (_what, changes, said) => {
    expect(status(judgePlugin(facts(changes)))).toBe(said)
  })
})

describe('what is to be copied', () => {
  test('is quoted, wherever it came from', () => {
    expect(sqlName('walhook')).toBe('walhook')
    expect(sqlName('My "role"')).toBe('"My ""role"""')
    expect(sqlText("it's")).toBe("'it''s'")
    expect(sqlText(String.raw`a\'b`)).toBe(String.raw`E'a\\''b'`)
  })

  test('is read by people', () => {
    expect([0, 1023, 1536, 5 * 1024 ** 3, 700 * 1024 ** 2].map(formatBytes)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1.5 KiB',
      '5 GiB',
      '700 MiB',
    ])
    expect([1_000, 600_000, 4 * 3_600_000, 3 * 86_400_000].map(formatAge)).toEqual([
      '1 s',
      '10 min',
      '4 h',
      '3 days',
    ])
    expect([plural(1, 'delivery'), plural(2, 'delivery'), plural(3, 'key'), plural(10, 'row', 10)]).toEqual([
      '1 delivery',
      '2 deliveries',
      '3 keys',
      '10 or more rows',
    ])
  })
})
