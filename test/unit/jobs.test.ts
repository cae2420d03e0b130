/** A job's id: one for each attempt of each delivery, so that no attempt can have two jobs. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jobId } from '../../src/store/jobs.ts'

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const deliveryIds = fc.bigInt({ min: 1n, max: 2n ** 60n - 1n })
const attempts = fc.integer({ min: 1, max: 2 ** 31 - 1 })

test.each([
  ['1', 2, '00000002-0000-8000-8000-000000000001'],
  ['4096', 10, '0000000a-0000-8000-8000-000000001000'],
  ['1152921504606846975', 2_147_483_647, '7fffffff-0000-8000-8fff-ffffffffffff'],
])('delivery %s, attempt %d', (deliveryId, attempt, id) => {
  expect(jobId(deliveryId, attempt)).toBe(id)
})

test('is a UUID of version 8, whatever the delivery and the attempt', () => {
  fc.assert(fc.property(deliveryIds, attempts, (id, attempt) => ID.test(jobId(String(id), attempt))))
})

test('is the same exactly for the same delivery and attempt', () => {
  const near = fc.record({ id: deliveryIds, attempt: attempts, idStep: fc.nat(2), attemptStep: fc.nat(2) })
  const swapped = fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 1_000 }))
  fc.assert(
    fc.property(near, swapped, ({ id, attempt, idStep, attemptStep }, [a, b]) => {
      const same = jobId(String(id), attempt) === jobId(String(id + BigInt(idStep)), attempt + attemptStep)
      expect(same).toBe(idStep === 0 && attemptStep === 0)
      expect(jobId(String(a), b) === jobId(String(b), a)).toBe(a === b)
    }),
  )
})
