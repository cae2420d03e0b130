/** An event for tests of what is made of it: what a test does not name is some valid value. */
import type { OutboxEvent } from '../../src/core/outbox-event.ts'

export function anEvent(changes: Partial<OutboxEvent> = {}): OutboxEvent {
  return {
    id: '0199c1a2-7b3d-7c4e-8f10-0123456789ab',
    type: 'order.created',
    key: null,
    tenant: null,
    payload: '{"n": 1}',
    headers: {},
    timestamp: '2026-11-22T15:30:09.123456Z',
    ...changes,
  }
}
