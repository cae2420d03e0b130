/** What happens to the slot at a start: every state of the slot against every position that may be recorded. */
import { describe, expect, test } from 'vitest'
import { type Lsn, parseLsn } from '../../src/core/lsn.ts'
import {
  type Gap,
  planSlot,
  type RecordedState,
  type SlotPlan,
  type SlotState,
} from '../../src/core/slot-plan.ts'

const RECORDED_AT = parseLsn('0/200')
const BEHIND = parseLsn('0/100')
const AHEAD = parseLsn('0/201')
const SERVER = { systemIdentifier: '7000000000000000001', timeline: 5, database: 'shop' }

const slot = (changes: Partial<SlotState>): SlotState => ({
  plugin: 'pgoutput',
  database: 'shop',
  confirmedLsn: RECORDED_AT,
  isActive: false,
  walStatus: 'reserved',
  invalidationReason: undefined,
  ...changes,
})

const SLOTS = {
  'no slot': undefined,
  'a slot at our position': slot({}),
  'a slot behind our position': slot({ confirmedLsn: BEHIND }),
  'a slot ahead of our position': slot({ confirmedLsn: AHEAD }),
  'a slot in use': slot({ isActive: true }),
  'a slot that holds more than it should': slot({ walStatus: 'extended' }),
  'a slot about to be lost': slot({ walStatus: 'unreserved' }),
  'a lost slot': slot({ walStatus: 'lost', invalidationReason: 'wal_removed' }),
  'a slot without a position': slot({ confirmedLsn: undefined }),
  "another database's slot": slot({ database: 'crm' }),
  "another database's lost slot": slot({ database: 'crm', walStatus: 'lost' }),
} as const satisfies Record<string, SlotState | undefined>

const recorded = (changes: Partial<RecordedState>): RecordedState => ({
  lsn: RECORDED_AT,
  systemIdentifier: SERVER.systemIdentifier,
  timeline: SERVER.timeline,
  ...changes,
})

const refuse = (reason: Extract<SlotPlan, { kind: 'refuse' }>['reason']): SlotPlan => ({
  kind: 'refuse',
  reason,
})
const create = (gap: Gap): SlotPlan => ({ kind: 'create', replaces: false, gap })
const replace = (gap: Gap): SlotPlan => ({ kind: 'create', replaces: true, gap })
const adopt = (lsn: Lsn, gap: Gap): SlotPlan => ({ kind: 'adopt', lsn, gap })
const continued = (recordTimeline: boolean, gap?: Gap): SlotPlan => ({
  kind: 'continue',
  recordTimeline,
  gap,
})

/** Without a position that means anything here: begin where the slot stands, or with a new one. */
const beginning = (gap: Gap): Record<keyof typeof SLOTS, SlotPlan> => ({
  'no slot': create(gap),
  'a slot at our position': adopt(RECORDED_AT, gap),
  'a slot behind our position': adopt(BEHIND, gap),
  'a slot ahead of our position': adopt(AHEAD, gap),
  'a slot in use': adopt(RECORDED_AT, gap),
  'a slot that holds more than it should': adopt(RECORDED_AT, gap),
  'a slot about to be lost': adopt(RECORDED_AT, gap),
  'a lost slot': replace(gap),
  'a slot without a position': replace(gap),
  "another database's slot": refuse('another_database'),
  "another database's lost slot": refuse('another_database'),
})

const goingOn = (recordTimeline: boolean): Record<keyof typeof SLOTS, SlotPlan> => ({
  'no slot': create('slot_missing'),
  'a slot at our position': continued(recordTimeline),
  'a slot behind our position': continued(recordTimeline),
  'a slot ahead of our position': adopt(AHEAD, 'slot_moved'),
  'a slot in use': continued(recordTimeline),
  'a slot that holds more than it should': continued(recordTimeline),
  'a slot about to be lost': continued(recordTimeline),
  'a lost slot': replace('slot_lost'),
  'a slot without a position': replace('slot_lost'),
  "another database's slot": refuse('another_database'),
  "another database's lost slot": refuse('another_database'),
})

const everywhere = (plan: SlotPlan): Record<keyof typeof SLOTS, SlotPlan> =>
  Object.fromEntries(Object.keys(SLOTS).map((name) => [name, plan])) as Record<keyof typeof SLOTS, SlotPlan>

const TABLE = [
  ['nothing recorded', undefined, beginning('first_start')],
  ['a position of this server', recorded({}), goingOn(false)],
  ['a position before a failover', recorded({ timeline: 4 }), goingOn(true)],
  ['a position that an old primary lacks', recorded({ timeline: 6 }), everywhere(refuse('old_primary'))],
  [
    'a position of another cluster',
    recorded({ systemIdentifier: '7000000000000000002' }),
    beginning('another_cluster'),
  ],
  [
    'a position of another cluster, on a later timeline',
    recorded({ systemIdentifier: '7000000000000000002', timeline: 9 }),
    beginning('another_cluster'),
  ],
] as const

describe.each(TABLE)('with %s', (_name, state, plans) => {
  test.each(Object.entries(SLOTS))('and %s', (name, found) => {
    expect(planSlot(SERVER, found, state)).toEqual(plans[name as keyof typeof SLOTS])
  })
})

describe('what was found out about a slot that looks well', () => {
  test('one whose log cannot be decoded is made anew', () => {
    expect(planSlot(SERVER, slot({}), recorded({}), 'unreadable')).toEqual(replace('slot_lost'))
  })

  test('one that passed the outbox over is read on, and the outbox is looked through', () => {
    expect(planSlot(SERVER, slot({}), recorded({}), 'outbox_unpublished')).toEqual(
      continued(false, 'outbox_unpublished'),
    )
  })

  test('is not held against a server that may not be streamed at all', () => {
    expect(planSlot(SERVER, slot({}), recorded({ timeline: 6 }), 'unreadable')).toEqual(refuse('old_primary'))
  })
})
