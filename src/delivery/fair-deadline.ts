/**
 * A deadline for somebody else that our own standstill does not break. After the process stood still (a busy machine, a long
 * collection of garbage), Node runs the timers that are overdue before it reads its sockets: an answer that came in time would be
 * taken for none, and what the endpoint accepted would be sent again. So what has arrived is read first.
 */

/** As setTimeout; `expire` may be called though the timer was cleared in the same turn of the loop, and has to bear that. */
export function setDeadline<Argument>(
  expire: (argument: Argument) => void,
  ms: number,
  argument: Argument,
): NodeJS.Timeout {
  return setTimeout(expireAfterReading, ms, expire, argument)
}

function expireAfterReading<Argument>(expire: (argument: Argument) => void, argument: Argument): void {
  setImmediate(expire, argument)
}
