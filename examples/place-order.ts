/**
 * An application that writes an order and its event in one transaction: both are committed, or neither is.
 *
 *   DATABASE_URL=postgres://… node examples/place-order.ts Ada 25
 */
import pg from 'pg'

async function placeOrder(client: pg.Client, order: { customer: string; amount: number }): Promise<void> {
  await client.query('begin')
  try {
    await client.query('insert into orders (customer, amount) values ($1, $2)', [
      order.customer,
      order.amount,
    ])
    await client.query('insert into walhook.outbox (type, key, payload) values ($1, $2, $3)', [
      'order.created',
      order.customer,
      JSON.stringify(order),
    ])
    await charge(order.amount)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/** Stands for whatever may still go wrong after the event is written. */
async function charge(amount: number): Promise<void> {
  if (amount > 1000) throw new Error('the card is declined')
}

const [customer = 'Ada', amount = '25'] = process.argv.slice(2)
const client = new pg.Client(process.env['DATABASE_URL'])
await client.connect()
try {
  await client.query('create table if not exists orders (customer text not null, amount numeric not null)')
  await placeOrder(client, { customer, amount: Number(amount) })
  console.log(`${customer}'s order is placed`)
} finally {
  await client.end()
}
