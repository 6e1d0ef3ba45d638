// A name server that knows one answer, and can be as unhelpful as real ones are. Names are not looked at.
//
// usage: dns-responder [--port N] [--mode MODE] [--a IPV4] [--aaaa IPV6|none] ADDRESS...
//
//   answer               A and AAAA are answered with --a (192.0.2.1) and --aaaa (2001:db8::1; none: no records), other types with
//                        no records
//   servfail, nxdomain   the response code
//   silent               no response at all
//   drop-aaaa-once       the first AAAA query gets no response; from then on as answer
//
// UDP and TCP on port 53 of each address. `ready` when bound; then a line for each query:
// `query ADDRESS udp|tcp NAME TYPE -> OUTCOME`, where OUTCOME is answer, empty, servfail, nxdomain, dropped or formerr. On standard
// input `mode MODE` switches (answer: the same line); its end is ignored. SIGTERM: `ok N`, N queries.

#include "victim.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { MAX_ADDRESSES = 16, MAX_CONNECTIONS = 32, MAX_MESSAGE = 4096 };
enum { TYPE_A = 1, TYPE_AAAA = 28, TYPE_OPT = 41, CLASS_IN = 1 };
enum { CODE_NONE = 0, CODE_FORMERR = 1, CODE_SERVFAIL = 2, CODE_NXDOMAIN = 3 };

static enum mode { ANSWER, SERVER_FAILURE, SILENT, DROP_AAAA_ONCE, NO_SUCH_NAME, MODES } mode;
static const char *const mode_names[MODES] = {"answer", "servfail", "silent", "drop-aaaa-once", "nxdomain"};
static bool dropped_one;

static struct in_addr answer_a;
static struct in6_addr answer_aaaa;
static bool has_aaaa = true;
static uint64_t queries;

static bool set_mode(const char *name) {
    for (int i = 0; i < MODES; i++) {
        if (strcmp(name, mode_names[i]) != 0) continue;
        mode = (enum mode)i;
        dropped_one = false;
        return true;
    }
    return false;
}

static unsigned get16(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

static uint8_t *put16(uint8_t *at, unsigned value) {
    *at++ = (uint8_t)(value >> 8);
    *at++ = (uint8_t)value;
    return at;
}

// Reads the question's name; returns its end, or NULL when there is none.
static const uint8_t *read_name(const uint8_t *at, const uint8_t *end, char *text, size_t size) {
    size_t used = 0;
    while (at < end && *at) {
        unsigned length = *at++;
        if (length > 63 || at + length >= end || used + length + 2 > size) return NULL;
        for (unsigned i = 0; i < length; i++, at++) text[used++] = *at > ' ' && *at < 127 ? (char)*at : '?';
        text[used++] = '.';
    }
    if (at >= end) return NULL;
    if (used == 0) text[used++] = '.';
    text[used] = 0;
    return at + 1;
}

// Makes the response to a query, and says on standard output what it is. Returns its length, 0 for none.
static size_t respond(const char *address, const char *transport, const uint8_t *query, size_t length, uint8_t *response) {
    char name[1100] = "?", type_text[16] = "?";
    unsigned type = 0, code = CODE_FORMERR;
    const char *outcome = "formerr";
    bool edns = false;
    const uint8_t *end = query + length, *after = NULL;
    if (length < 12 || query[2] & 0x80) return 0;  // not a query: a response to it could go round for ever
    if (get16(query + 4) == 1) after = read_name(query + 12, end, name, sizeof name);
    if (after && after + 4 > end) after = NULL;
    if (after) {
        type = get16(after);
        after += 4;
        // A query has no other records, so that OPT comes right after the question, under the root's name.
        edns = get16(query + 10) >= 1 && get16(query + 6) == 0 && get16(query + 8) == 0 && after + 11 <= end && after[0] == 0 &&
               get16(after + 1) == TYPE_OPT;
        code = mode == SERVER_FAILURE ? CODE_SERVFAIL : mode == NO_SUCH_NAME ? CODE_NXDOMAIN : CODE_NONE;
        outcome = code == CODE_SERVFAIL ? "servfail" : code == CODE_NXDOMAIN ? "nxdomain" : type == TYPE_A || (type == TYPE_AAAA && has_aaaa) ? "answer" : "empty";
        if (mode == SILENT) outcome = "dropped";
        if (mode == DROP_AAAA_ONCE && type == TYPE_AAAA && !dropped_one) {
            dropped_one = true;
            outcome = "dropped";
        }
    }
    queries++;
    snprintf(type_text, sizeof type_text, "TYPE%u", type);
    victim_say("query %s %s %s %s -> %s", address, transport, name, type == TYPE_A ? "A" : type == TYPE_AAAA ? "AAAA" : type_text, outcome);
    if (strcmp(outcome, "dropped") == 0) return 0;

    uint8_t *at = response;
    at = put16(at, get16(query));
    // QR, the query's opcode and RD; RA.
    at = put16(at, 0x8080 | (get16(query + 2) & 0x7900) | code);
    bool answered = strcmp(outcome, "answer") == 0;
    at = put16(at, after ? 1 : 0);
    at = put16(at, answered);
    at = put16(at, 0);
    at = put16(at, edns);
    if (after) {
        size_t question = (size_t)(after - query - 12);
        memcpy(at, query + 12, question);
        at += question;
    }
    if (answered) {
        at = put16(at, 0xc00c);  // the name in the question
        at = put16(at, type);
        at = put16(at, CLASS_IN);
        at = put16(put16(at, 0), 1);  // one second to live: nothing between here and the test is to keep it
        size_t size = type == TYPE_A ? sizeof answer_a : sizeof answer_aaaa;
        at = put16(at, (unsigned)size);
        memcpy(at, type == TYPE_A ? (void *)&answer_a : (void *)&answer_aaaa, size);
        at += size;
    }
    if (edns) {
        *at++ = 0;
        at = put16(at, TYPE_OPT);
        at = put16(at, 1232);
        at = put16(put16(at, 0), 0);
        at = put16(at, 0);
    }
    return (size_t)(at - response);
}

static struct {
    const char *text;
    int udp, tcp;
} addresses[MAX_ADDRESSES];
static int address_count;

static struct connection {
    int fd;
    const char *address;
    size_t filled;
    uint8_t data[2 + MAX_MESSAGE];
} connections[MAX_CONNECTIONS];

static int bound(const char *text, int port, int type) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any.sa_family = AF_UNSPEC};
    socklen_t length = 0;
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
        length = sizeof address.v4;
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
        length = sizeof address.v6;
    } else {
        victim_unable("not an address: %s", text);
    }
    int fd = socket(address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, &address.any, length) != 0 || (type == SOCK_STREAM && listen(fd, 16) != 0))
        victim_unable("can't bind %s port %d: %s", text, port, strerror(errno));
    return fd;
}

static void serve_datagrams(int i) {
    uint8_t query[MAX_MESSAGE], response[MAX_MESSAGE + 64];
    struct sockaddr_storage client;
    for (;;) {
        socklen_t client_length = sizeof client;
        ssize_t length = recvfrom(addresses[i].udp, query, sizeof query, 0, (struct sockaddr *)&client, &client_length);
        if (length < 0) return;
        size_t size = respond(addresses[i].text, "udp", query, (size_t)length, response);
        if (size) sendto(addresses[i].udp, response, size, 0, (struct sockaddr *)&client, client_length);
    }
}

static void accept_connection(int i) {
    int fd = accept4(addresses[i].tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    for (int j = 0; j < MAX_CONNECTIONS; j++) {
        if (connections[j].fd >= 0) continue;
        connections[j].fd = fd;
        connections[j].address = addresses[i].text;
        connections[j].filled = 0;
        return;
    }
    close(fd);
}

static void serve_stream(struct connection *connection) {
    ssize_t length = recv(connection->fd, connection->data + connection->filled, sizeof connection->data - connection->filled, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length > 0) connection->filled += (size_t)length;
    while (length > 0 && connection->filled >= 2) {
        size_t size = get16(connection->data);
        if (size > MAX_MESSAGE) length = 0;
        if (size > MAX_MESSAGE || connection->filled < 2 + size) break;
        uint8_t response[2 + MAX_MESSAGE + 64];
        size_t answer = respond(connection->address, "tcp", connection->data + 2, size, response + 2);
        put16(response, (unsigned)answer);
        if (answer && send(connection->fd, response, 2 + answer, MSG_NOSIGNAL) < 0) length = 0;
        connection->filled -= 2 + size;
        memmove(connection->data, connection->data + 2 + size, connection->filled);
    }
    if (length > 0) return;
    close(connection->fd);
    connection->fd = -1;
}

// Returns whether there may be more.
static bool read_commands(void) {
    static char line[128];
    static size_t filled;
    ssize_t count = read(STDIN_FILENO, line + filled, sizeof line - 1 - filled);
    if (count <= 0) return count < 0 && (errno == EINTR || errno == EAGAIN);
    filled += (size_t)count;
    char *end;
    while ((end = memchr(line, '\n', filled))) {
        *end = 0;
        if (strncmp(line, "mode ", 5) == 0 && set_mode(line + 5)) victim_say("mode %s", line + 5);
        else victim_say("error: not a command: %s", line);
        filled -= (size_t)(end + 1 - line);
        memmove(line, end + 1, filled);
    }
    if (filled == sizeof line - 1) filled = 0;
    return true;
}

int main(int count, char **arguments) {
    static const char usage[] = "usage: dns-responder [--port N] [--mode MODE] [--a IPV4] [--aaaa IPV6|none] ADDRESS...";
    victim_start();
    int port = 53;
    inet_pton(AF_INET, "192.0.2.1", &answer_a);
    inet_pton(AF_INET6, "2001:db8::1", &answer_aaaa);
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        bool understood = true;
        if (strncmp(arguments[i], "--", 2) != 0) {
            if (address_count == MAX_ADDRESSES) victim_unable("at most %d addresses", MAX_ADDRESSES);
            addresses[address_count++].text = arguments[i];
            continue;
        }
        if (strcmp(arguments[i], "--port") == 0) understood = (port = atoi(value)) > 0;
        else if (strcmp(arguments[i], "--mode") == 0) understood = set_mode(value);
        else if (strcmp(arguments[i], "--a") == 0) understood = inet_pton(AF_INET, value, &answer_a) == 1;
        else if (strcmp(arguments[i], "--aaaa") == 0) understood = !(has_aaaa = strcmp(value, "none") != 0) || inet_pton(AF_INET6, value, &answer_aaaa) == 1;
        else understood = false;
        if (!understood) victim_unable("%s", usage);
        i++;
    }
    if (address_count == 0) victim_unable("%s", usage);
    for (int i = 0; i < address_count; i++) {
        addresses[i].udp = bound(addresses[i].text, port, SOCK_DGRAM);
        addresses[i].tcp = bound(addresses[i].text, port, SOCK_STREAM);
    }
    for (int i = 0; i < MAX_CONNECTIONS; i++) connections[i].fd = -1;
    victim_say("ready");

    bool commands = true;
    while (!victim_stopping) {
        struct pollfd entries[1 + 2 * MAX_ADDRESSES + MAX_CONNECTIONS];
        nfds_t used = 0;
        entries[used++] = (struct pollfd){.fd = commands ? STDIN_FILENO : -1, .events = POLLIN};
        for (int i = 0; i < address_count; i++) {
            entries[used++] = (struct pollfd){.fd = addresses[i].udp, .events = POLLIN};
            entries[used++] = (struct pollfd){.fd = addresses[i].tcp, .events = POLLIN};
        }
        // poll leaves negative descriptors alone.
        for (int i = 0; i < MAX_CONNECTIONS; i++) entries[used++] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
        // A time-out, because a SIGTERM may come between the test above and the call.
        if (poll(entries, used, 1000) <= 0) continue;
        // Commands first: a query that was sent after the command must find it carried out.
        if (entries[0].revents) commands = read_commands();
        for (int i = 0; i < MAX_CONNECTIONS; i++)
            if (entries[1 + 2 * address_count + i].revents) serve_stream(&connections[i]);
        for (int i = 0; i < address_count; i++) {
            if (entries[1 + 2 * i].revents) serve_datagrams(i);
            if (entries[2 + 2 * i].revents) accept_connection(i);
        }
    }
    victim_ok(queries);
}
