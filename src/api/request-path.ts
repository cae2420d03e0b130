/** The path of a request, without its query: queries hold what people look for, which is nobody's else. */

export function pathOf(url: string): string {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}
