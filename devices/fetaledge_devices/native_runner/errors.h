/* What goes wrong: one line on standard error, and the end of the process. */
#pragma once

enum { USAGE = 2, UNUSABLE = 3 };

/* Ends the process with this exit code: one line on standard error. */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Keeps what engines say while they work from standard error: an error of this program is one line. */
void hide_errors(void);

/* The last error that the engine itself wrote since, after ": ", or nothing. */
const char *engine_said(void);
