// Error answers (RFC 9457) as the page shows them.

export interface FieldError {
  field: string;
  message: string;
  allowed?: string;
}

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    message: string,
    readonly fields: FieldError[] = [],
    /** Settings that take effect only after a restart. */
    readonly restart: string[] = [],
  ) {
    super(message);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Reads the body of an error answer, whatever it is. */
export function problemFrom(status: number, body: unknown): ApiError {
  if (!isRecord(body)) return new ApiError(status, `the service answered ${status}`);
  const message = text(body["detail"]) ?? text(body["title"]) ?? `the service answered ${status}`;
  const errors = Array.isArray(body["errors"]) ? body["errors"].filter(isRecord) : [];
  const fields = errors.flatMap((error): FieldError[] => {
    const field = text(error["field"]);
    const allowed = text(error["allowed"]);
    return field === undefined
      ? []
      : [
          {
            field,
            message: text(error["message"]) ?? message,
            ...(allowed === undefined ? {} : { allowed }),
          },
        ];
  });
  const restart = Array.isArray(body["restart"])
    ? body["restart"].filter((name): name is string => typeof name === "string")
    : [];
  return new ApiError(status, message, fields, restart);
}

/** What to show of anything that was thrown. */
export function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.charAt(0).toUpperCase() + message.slice(1);
}
