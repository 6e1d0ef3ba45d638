// What the victims that ask through a resolver library have in common: commands on standard input, one a line, each for one of
// several sides (a thread with an event loop of its own); `@N COMMAND` is for side N, a plain command for side 0.

#ifndef ASKER_H
#define ASKER_H

#include "victim.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { ASKER_SIDES = 8, ASKER_NAME = 256, ASKER_LINE = 512 };

// A TCP connection to itself, for whoever counts sessions. It must stay as it is.
static inline void asker_open_session(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0
        || connect(client, (struct sockaddr *)&address, size) != 0 || accept(listener, NULL, NULL) < 0)
        victim_unable("no session: %s", strerror(errno));
    close(listener);
}

// Lines from a descriptor that may bring several at once.
struct asker_lines {
    int descriptor;
    size_t used;
    char bytes[4 * ASKER_LINE];
};

// Reads what is there; false at the end of the file.
static inline bool asker_fill(struct asker_lines *lines) {
    ssize_t count = read(lines->descriptor, lines->bytes + lines->used, sizeof lines->bytes - lines->used - 1);
    if (count > 0) lines->used += (size_t)count;
    return count > 0;
}

static inline bool asker_next(struct asker_lines *lines, char line[ASKER_LINE]) {
    char *end = memchr(lines->bytes, '\n', lines->used);
    if (!end) return false;
    size_t length = (size_t)(end - lines->bytes);
    if (length >= ASKER_LINE) victim_unable("a line is too long");
    memcpy(line, lines->bytes, length);
    line[length] = 0;
    lines->used -= length + 1;
    memmove(lines->bytes, end + 1, lines->used);
    return true;
}

static int asker_pipes[ASKER_SIDES];

// Passes a command for another side on.
static inline bool asker_forward(const char *line) {
    if (line[0] != '@') return false;
    int side = atoi(line + 1);
    const char *command = strchr(line, ' ');
    if (side < 1 || side >= ASKER_SIDES || !command || !asker_pipes[side]) victim_unable("nobody to tell: %s", line);
    char text[ASKER_LINE + 1];
    int length = snprintf(text, sizeof text, "%s\n", command + 1);
    if (write(asker_pipes[side], text, (size_t)length) != length) victim_unable("write: %s", strerror(errno));
    return true;
}

// What one lookup is for.
enum asker_purpose { ASKED, PERIODIC, BUSY };

struct asker_lookup {
    struct side *side;
    enum asker_purpose purpose;
    int64_t started;
    char name[ASKER_NAME];
};

static inline struct asker_lookup *asker_begin(struct side *side, enum asker_purpose purpose, const char *name) {
    struct asker_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) abort();
    lookup->side = side;
    lookup->purpose = purpose;
    lookup->started = victim_now();
    snprintf(lookup->name, sizeof lookup->name, "%s", name);
    return lookup;
}

static inline void asker_answer(const struct asker_lookup *lookup, const void *ipv4) {
    char text[INET_ADDRSTRLEN] = "none";
    if (ipv4) inet_ntop(AF_INET, ipv4, text, sizeof text);
    victim_say("answer %s %s %lld", lookup->name, text, (long long)(victim_now() - lookup->started) / VICTIM_MILLISECOND);
}

#endif
