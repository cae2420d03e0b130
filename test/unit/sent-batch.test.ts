/** How much of a body an event takes is known before the body is made. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesInBatch } from '../../src/core/sent-batch.ts'
import { batchBody, bodyForm } from '../../src/core/body-form.ts'
import { idsOf, readBatch } from '../support/batch-text.ts'
import { jsonText } from '../support/json-text.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

const ID = '5f0c3d2e-8c1b-4a52-9d8e-0123456789ab'

test('whatever the payloads, a batch has as many bytes as were reckoned, and each event in it as it is sent alone', () => {
  fc.assert(
    fc.property(fc.array(jsonText, { minLength: 1, maxLength: 5 }), (payloads) => {
      const events = payloads.map((payload) => aHeldDelivery('a', { payload }).event)
      const { text } = batchBody('envelope', ID, events)
      const read = readBatch(text)
      expect(read.id).toBe(ID)
      expect(read.events).toEqual(events.map((event) => bodyForm('envelope').one(event)))
      expect(idsOf(read)).toEqual(events.map(({ id }) => id))
      const added = events.reduce((sum, event) => sum + bytesInBatch(event), 0)
      // The last has no comma behind it.
      expect(Buffer.byteLength(text)).toBe(batchBody('envelope', ID, []).text.length + added - 1)
    }),
  )
})
