/** The same of what is Walhook's own: slot, schema, traffic and endpoints; and docs/doctor.md, which has a line for each check. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { CHECKS, type Verdict } from '../../src/core/doctor.ts'
import {
  type Endpoint,
  endpointsOf,
  judgeDeniedUrls,
  judgeEndpoint,
  judgeProxy,
} from '../../src/core/doctor-endpoints.ts'
import { judgeReplicas, judgeTransactions } from '../../src/core/doctor-processes.ts'
import {
  judgeApplicationRights,
  judgeOutbox,
  judgePublication,
  judgeRights,
  type PublicationFacts,
  type RightFacts,
} from '../../src/core/doctor-schema.ts'
import {
  judgeFailover,
  judgeSidecar,
  judgeSlotState,
  judgeSlotWal,
  type SlotFacts,
} from '../../src/core/doctor-slot.ts'
import { judgeBacklog, judgeGap, judgeRetention, judgeSecrets } from '../../src/core/doctor-traffic.ts'
import { parseLsn } from '../../src/core/lsn.ts'
import type { SlotReading } from '../../src/core/slot-health.ts'

const status = ({ status: said }: Verdict): string => said
const steps = (verdict: Verdict): readonly string[] =>
  'steps' in verdict ? verdict.steps.map(({ text }) => text) : []

test('docs/doctor.md has a line for every check, in this order, and for no other', () => {
  const text = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'doctor.md'), 'utf8')
  const section = text.split(/^## /m).find((part) => part.startsWith('The checks\n')) ?? ''
  expect([...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, id]) => id)).toEqual(Object.keys(CHECKS))
})

const GiB = 1024 ** 3
const reading = (changes: Partial<SlotReading> = {}): SlotReading => ({
  state: 'reserved',
  invalidationReason: undefined,
  isActive: true,
  retainedBytes: 1024,
  unconfirmedBytes: 512,
  safeBytes: undefined,
  walEnd: parseLsn('1/0'),
  atMs: 0,
  ...changes,
})
const slot = (changes: Partial<SlotFacts> = {}): SlotFacts => ({
  name: 'walhook',
  exists: true,
  database: 'shop',
  ourDatabase: 'shop',
  plugin: 'pgoutput',
  reading: reading(),
  confirmedLsn: parseLsn('0/1'),
  activePid: 7,
  activeAs: 'walhook',
  failover: true,
  ...changes,
})

describe('the slot', () => {
  test.each([
    ['is there', slot(), 'ok'],
    ['is missing', slot({ exists: false, reading: reading({ state: 'missing' }) }), 'problem'],
    ['is lost', slot({ reading: reading({ state: 'lost', invalidationReason: 'wal_removed' }) }), 'problem'],
    ['is of another database', slot({ database: 'other' }), 'problem'],
    ['is being made', slot({ confirmedLsn: undefined }), 'warning'],
  ] as const)('that %s', (_what, facts, said) => {
    expect(status(judgeSlotState(facts))).toBe(said)
  })

  test('that nobody streams is a problem once events wait, and that somebody else streams at once', () => {
    const idle = slot({ activePid: undefined, activeAs: undefined })
    expect(status(judgeSidecar(slot(), undefined))).toBe('ok')
    expect(status(judgeSidecar(idle, { waitingEvents: 0, countedUpTo: 10 }))).toBe('warning')
    expect(judgeSidecar(idle, { waitingEvents: 10, countedUpTo: 10 })).toMatchObject({
      status: 'problem',
      summary: expect.stringContaining('10 or more events'),
    })
    expect(judgeSidecar(idle, undefined)).toMatchObject({ why: expect.stringContaining('could not be') })
    expect(steps(judgeSidecar(slot({ activeAs: 'pg_recvlogical' }), undefined))[0]).toContain(
      'pg_terminate_backend(7)',
    )
  })

  test.each([
    ['none', [], 'ok'],
    ['one that streams', [{}], 'ok'],
    ['one that was interrupted', [{ role: 'interrupted' }], 'warning'],
    ['one of another version', [{}, { version: '2' }], 'warning'],
    ['one that is gone', [{}, { isGone: true }], 'warning'],
  ])('and its replicas: %s', (_what, found, said) => {
    const replicas = found.map((changes) => ({
      host: 'a',
      version: '1',
      role: 'streaming',
      isGone: false,
      ...changes,
    }))
    expect(status(judgeReplicas(replicas, '1'))).toBe(said)
  })

  test('that keeps much log says for how long that is safe', () => {
    const limited = { retainedBytes: 9 * GiB, safeBytes: GiB, atMs: 2_000, walEnd: parseLsn('1/1000000') }
    const verdict = judgeSlotWal(slot({ reading: reading(limited) }), reading({ safeBytes: GiB }))
    expect(verdict).toMatchObject({ status: 'problem', summary: expect.stringMatching(/1 GiB more: 2 min/) })
    expect(steps(verdict)).toContain(
      `ALTER SYSTEM SET max_slot_wal_keep_size = '20480MB'; -- where the disk has room for it`,
    )
    expect(status(judgeSlotWal(slot({ reading: reading({ retainedBytes: 2 * GiB }) }), undefined))).toBe(
      'warning',
    )
    expect(status(judgeSlotWal(slot(), undefined))).toBe('ok')
  })

  test.each([
    ['nothing stands by', slot({ failover: false }), { physicalSlots: [] }, 'ok'],
    ['no server of its age can', slot(), { version: 160_000 }, 'ok'],
    ['it was made without', slot({ failover: false }), {}, 'warning'],
    ['nobody waits for the standby', slot(), { synchronizedSlots: '' }, 'warning'],
    ['all is set', slot(), { synchronizedSlots: 's1' }, 'ok'],
  ] as const)('and failover, where %s', (_what, facts, changes, said) => {
    const all = { version: 170_006, physicalSlots: ['s1'], synchronizedSlots: 's1', ...changes }
    expect(status(judgeFailover(facts, all))).toBe(said)
  })

  test('is held back by transactions, whose names are quoted', () => {
    const nothing = { open: [], prepared: [], seesOthers: true, login: 'walhook' }
    expect(status(judgeTransactions(nothing))).toBe('ok')
    expect(judgeTransactions({ ...nothing, seesOthers: false })).toMatchObject({
      status: 'skipped',
      summary: expect.stringContaining('GRANT pg_read_all_stats TO walhook'),
    })
    const held = {
      ...nothing,
      prepared: [{ gid: "it's", database: 'Shop', ageMs: 600_000 }],
      open: [{ pid: 9, login: 'shop', ageMs: 7_200_000, isIdle: true }],
    }
    expect(steps(judgeTransactions(held))).toEqual([
      `ROLLBACK PREPARED 'it''s'; -- or COMMIT PREPARED, in database "Shop"`,
      'SELECT pg_terminate_backend(9);',
    ])
  })
})

describe('the schema', () => {
  const rights: RightFacts = {
    login: 'walhook',
    isSuperuser: false,
    database: 'shop',
    mayCreate: true,
    foreignSchemas: [],
    foreignObjects: [],
    hasSchema: true,
    hasPublication: true,
    ownsPublication: true,
    publication: 'walhook',
  }

  test('has to belong to the login, which may make what is missing', () => {
    expect(status(judgeRights(rights))).toBe('ok')
    expect(status(judgeRights({ ...rights, mayCreate: false }))).toBe('ok')
    expect(steps(judgeRights({ ...rights, mayCreate: false, hasPublication: false }))).toEqual([
      'GRANT CREATE ON DATABASE shop TO walhook;',
    ])
    const foreign = {
      foreignSchemas: [{ name: 'walhook', owner: 'dba' }],
      foreignObjects: ['TABLE walhook.outbox'],
    }
    expect(steps(judgeRights({ ...rights, ...foreign }))).toEqual([
      'let dba, who owns them, be the login of DATABASE_URL; or, as a superuser:',
      'ALTER SCHEMA walhook OWNER TO walhook;',
      'ALTER TABLE walhook.outbox OWNER TO walhook;',
    ])
    expect(steps(judgeRights({ ...rights, ownsPublication: false }))).toEqual([
      'ALTER PUBLICATION walhook OWNER TO walhook;',
    ])
  })

  test('lets applications write', () => {
    const all = { hasRole: true, mayUseSchema: true, mayInsert: true, mayPublish: true }
    expect(status(judgeApplicationRights(all))).toBe('ok')
    expect(status(judgeApplicationRights({ ...all, mayInsert: false }))).toBe('problem')
    expect(status(judgeApplicationRights({ ...all, hasRole: false, mayInsert: false }))).toBe('ok')
  })

  test.each([
    ['r', 'p', 'ok'],
    ['p', 'p', 'ok'],
    ['r', 'u', 'problem'],
    ['v', 'p', 'problem'],
    [undefined, undefined, 'problem'],
  ])('with an outbox of kind %s and persistence %s is judged %s', (kind, persistence, said) => {
    expect(status(judgeOutbox({ kind, persistence }))).toBe(said)
  })

  const publication: PublicationFacts = {
    name: 'walhook',
    exists: true,
    publishesInsert: true,
    viaRoot: false,
    hasOutbox: true,
    isNarrowed: false,
    outboxIsPartitioned: false,
    isUsed: true,
  }
  test.each<[string, Partial<PublicationFacts>, string]>([
    ['is well', {}, 'ok'],
    ['is missing', { exists: false }, 'problem'],
    ['is missing and not used', { exists: false, isUsed: false }, 'warning'],
    ['lacks the outbox', { hasOutbox: false }, 'problem'],
    ['publishes no insert', { publishesInsert: false }, 'problem'],
    ['publishes a part', { isNarrowed: true }, 'problem'],
    ['names partitions', { outboxIsPartitioned: true }, 'problem'],
    ['names the parent', { outboxIsPartitioned: true, viaRoot: true }, 'ok'],
  ])('whose publication %s', (_what, changes, said) => {
    expect(status(judgePublication({ ...publication, ...changes }))).toBe(said)
  })
})

describe('what goes on', () => {
  test('is told by what stands still', () => {
    const gap = { owedFor: undefined, auditedAgoMs: 1_000, isStreamed: true }
    expect(status(judgeGap(gap))).toBe('ok')
    expect(status(judgeGap({ ...gap, owedFor: 'slot_lost' }))).toBe('warning')
    expect(status(judgeGap({ ...gap, owedFor: 'first_start', isStreamed: false }))).toBe('ok')
    expect(status(judgeGap({ ...gap, auditedAgoMs: 900_000 }))).toBe('warning')
    const retention = { appliedAgoMs: undefined, outboxHoldsOld: false, isStreamed: true }
    expect(status(judgeRetention(retention))).toBe('ok')
    expect(status(judgeRetention({ ...retention, appliedAgoMs: 86_400_000 }))).toBe('warning')
    expect(status(judgeRetention({ ...retention, outboxHoldsOld: true }))).toBe('warning')
    expect(status(judgeBacklog({ overdue: 3, oldestMs: 200_000 }, false))).toBe('problem')
    expect(status(judgeBacklog({ overdue: 3, oldestMs: 200_000 }, true))).toBe('warning')
  })

  test('includes secrets, of which no text is ever part', () => {
    const facts = { unreadable: [], missingKeyIds: [], hasKey: true, plain: 0, lookedAt: 2, all: 2 }
    expect(status(judgeSecrets(facts))).toBe('ok')
    expect(judgeSecrets({ ...facts, all: 9 }).summary).toContain('of 9 subscriptions, 2 were looked at')
    expect(status(judgeSecrets({ ...facts, plain: 1 }))).toBe('warning')
    expect(status(judgeSecrets({ ...facts, plain: 1, hasKey: false }))).toBe('ok')
    expect(judgeSecrets({ ...facts, missingKeyIds: ['0123abcd'] })).toMatchObject({
      status: 'problem',
      summary: expect.stringContaining('0123abcd'),
    })
    const unreadable = [{ id: 'one', column: 'tls', reason: 'certificate_expired' } as const]
    expect(steps(judgeSecrets({ ...facts, unreadable }))[0]).toContain("SET tls = '…' WHERE id = 'one'")
  })
})

describe('endpoints', () => {
  const policy = { allowHttp: false, allowNetworks: [parseNetwork('10.0.0.0/8') ?? []].flat() }
  const wish = (url: string, subscriptionId = 'one') => ({
    subscriptionId,
    url,
    tls: undefined,
    isTokenServer: false,
  })
  const one = (url: string): Endpoint => {
    const [endpoint] = endpointsOf([wish(url)], policy).endpoints
    if (endpoint === undefined) throw new Error(`no endpoint: ${url}`)
    return endpoint
  }

  test('are tried once, and shown without path and query, which may be secret', () => {
    const { endpoints, denied } = endpointsOf(
      [
        wish('https://a.example/hooks/T0KEN?key=T0KEN'),
        wish('https://a.example/other', 'two'),
        { ...wish('https://a.example/'), tls: { id: 'x', ca: undefined, client: undefined } },
        wish('https://[fd00::1]:8443/', 'three'),
        wish('http://a.example/T0KEN', 'four'),
        wish('https://127.0.0.1/T0KEN', 'five'),
      ],
      policy,
    )
    expect(endpoints).toMatchObject([
      { origin: 'https://a.example', subscriptions: 2, target: { hostname: 'a.example', port: '' } },
      { origin: 'https://a.example', subscriptions: 1 },
    ])
    expect(denied.map(({ subscriptionId }) => subscriptionId)).toEqual(['three', 'four', 'five'])
    const said = judgeDeniedUrls(denied)
    expect(said.map(status)).toEqual(['problem', 'problem', 'problem'])
    expect(said.flatMap(steps).join()).toContain('WALHOOK_ALLOW_HTTP=true')
    expect(said.flatMap(steps).join()).toContain('WALHOOK_ALLOW_NETWORKS')
    expect(JSON.stringify(said)).not.toContain('T0KEN')
  })

  test('are told by what a delivery would meet, with what to do', () => {
    const judge = (url: string, error: 'dns' | 'tls' | 'address_denied' | 'proxy', detail?: string) =>
      judgeEndpoint(
        one(url),
        { kind: 'failed', error, detail, addresses: ['10.0.0.1', '192.168.0.9'] },
        { policy, now: 0 },
      )
    expect(steps(judge('https://a.example/', 'dns'))[0]).toMatch(/^getent ahosts a\.example #/)
    expect(steps(judge('https://a.example/', 'address_denied'))[0]).toMatch(/ALLOW_NETWORKS: 192\.168\.0\.9$/)
    expect(steps(judge('https://a.example/', 'tls', 'SELF_SIGNED_CERT_IN_CHAIN')).join()).toContain('"ca"')
    expect(
      steps(judge('https://a.example/', 'tls', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')).join(),
    ).toContain('client certificate')
    expect(steps(judge('https://a.example/', 'proxy'))[0]).toContain('CONNECT to a.example:443')
  })

  test('put nothing into a shell that it would act on', () => {
    const hostile = one('https://a;reboot;`id`$(id).example/')
    const verdict = judgeEndpoint(
      hostile,
      { kind: 'failed', error: 'dns', detail: undefined, addresses: [] },
      { policy, now: 0 },
    )
    expect('steps' in verdict && verdict.steps.filter(({ kind }) => kind === 'shell')).toEqual([])
  })

  test('whose certificates end soon are told in time', () => {
    const ending = (certificateEndsAt: number): string =>
      status(
        judgeEndpoint(one('https://a.example/'), { kind: 'reached', certificateEndsAt }, { policy, now: 0 }),
      )
    expect([ending(13 * 86_400_000), ending(15 * 86_400_000)]).toEqual(['warning', 'ok'])
  })

  test('are behind the proxy, which is told by itself', () => {
    expect(status(judgeProxy('http://p:1', { kind: 'reached', certificateEndsAt: undefined }))).toBe('ok')
    const failed = { kind: 'failed', error: 'connect_refused', detail: undefined, addresses: [] } as const
    expect(status(judgeProxy('http://p:1', failed))).toBe('problem')
  })
})
