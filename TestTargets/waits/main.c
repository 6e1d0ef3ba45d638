// Waits in one system call, round after round, and complains about whatever a program could notice of having been
// interrupted: EINTR, a wait that is too short or too long, errno changed by a call that did not fail.
//
// usage: waits MODE [MILLISECONDS]       MODE is one of the names in the table below; 1500 ms a round unless said otherwise
//
// The main thread waits. In the modes where something has to happen for the wait to end, a second thread makes it happen.

#include "victim.h"

#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

static int milliseconds = 1500;
static int64_t asked;  // the same in nanoseconds

// The second thread: ends one wait of the main thread for each post.
static struct {
    sem_t round;
    int64_t deadline;
    void (*wake)(void);
} waker;

static void *wake_main(void *unused) {
    (void)unused;
    for (;;) {
        while (sem_wait(&waker.round) != 0) {}
        struct timespec deadline = victim_timespec(waker.deadline);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
        waker.wake();
    }
    return NULL;
}

static void start_waker(void (*wake)(void)) {
    waker.wake = wake;
    sem_init(&waker.round, 0, 0);
    victim_thread(wake_main, NULL, 0);
}

static void wake_later(int64_t started) {
    waker.deadline = started + asked;
    sem_post(&waker.round);
}

static int descriptor;  // what the main thread waits on
static int other_end;   // what the second thread writes to

static void add_to_epoll(int watched) {
    descriptor = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = watched};
    epoll_ctl(descriptor, EPOLL_CTL_ADD, watched, &event);
}

static void prepare_epoll(void) {
    add_to_epoll(eventfd(0, EFD_CLOEXEC));
}

static long wait_epoll(int64_t started) {
    (void)started;
    struct epoll_event event;
    return epoll_wait(descriptor, &event, 1, milliseconds);
}

static void write_eventfd(void) {
    eventfd_write(other_end, 1);
}

static void prepare_epoll_infinite(void) {
    other_end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    add_to_epoll(other_end);
    start_waker(write_eventfd);
}

static long wait_epoll_infinite(int64_t started) {
    wake_later(started);
    struct epoll_event event;
    int result = epoll_wait(descriptor, &event, 1, -1);
    eventfd_t value;
    if (result == 1) eventfd_read(event.data.fd, &value);
    return result;
}

static long wait_poll(int64_t started) {
    (void)started;
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    return poll(&entry, 1, milliseconds);
}

static void prepare_quiet_descriptor(void) {
    descriptor = eventfd(0, EFD_CLOEXEC);
}

static sigset_t lasting_mask;

static void prepare_ppoll(void) {
    prepare_quiet_descriptor();
    sigemptyset(&lasting_mask);
    sigaddset(&lasting_mask, SIGUSR1);
    sigaddset(&lasting_mask, SIGRTMIN + 3);
    sigprocmask(SIG_SETMASK, &lasting_mask, NULL);
}

static long wait_ppoll(int64_t started) {
    (void)started;
    // During the call another mask is in force; it must be the lasting one again afterwards.
    sigset_t during;
    sigemptyset(&during);
    sigaddset(&during, SIGUSR2);
    sigaddset(&during, SIGWINCH);
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    struct timespec timeout = victim_timespec(asked);
    int result = ppoll(&entry, 1, &timeout, &during);
    int error = errno;
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (sigismember(&now, signal) != sigismember(&lasting_mask, signal))
            victim_violation("signal %d is %s after ppoll", signal, sigismember(&now, signal) == 1 ? "blocked" : "unblocked");
    errno = error;
    return result;
}

static long wait_select(int64_t started) {
    (void)started;
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(descriptor, &readable);
    struct timeval timeout = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    return select(descriptor + 1, &readable, NULL, NULL, &timeout);
}

static long wait_nanosleep(int64_t started) {
    (void)started;
    struct timespec time = victim_timespec(asked);
    return nanosleep(&time, NULL);
}

// Calls that return an error number are turned into the convention of all others.
static long from_error_number(int error) {
    if (error == 0) return 0;
    errno = error;
    return -1;
}

static long wait_clock_nanosleep_absolute(int64_t started) {
    struct timespec deadline = victim_timespec(started + asked);
    return from_error_number(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition;

static void prepare_futex(void) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&condition, &attributes);
}

// POSIX lets a condition wait wake for no reason, but nobody signals this one: glibc and musl then never do.
static long wait_futex(int64_t started) {
    struct timespec deadline = victim_timespec(started + asked);
    pthread_mutex_lock(&mutex);
    int error = pthread_cond_timedwait(&condition, &mutex, &deadline);
    pthread_mutex_unlock(&mutex);
    // The call leaves errno alone whatever it returns.
    if (errno != VICTIM_ERRNO) victim_violation("pthread_cond_timedwait changed errno to %d", errno);
    return from_error_number(error);
}

enum { FUTEX_WAIT_PRIVATE = 128 };  // <linux/futex.h> is not among musl's headers

static long wait_futex_wait(int64_t started) {
    (void)started;
    static uint32_t word;
    struct timespec timeout = victim_timespec(asked);
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
}

static void prepare_recv_timeout(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) victim_unable("socketpair: %s", strerror(errno));
    descriptor = pair[0];
    other_end = pair[1];
    struct timeval timeout = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

static long wait_recv_timeout(int64_t started) {
    (void)started;
    char byte;
    return recv(descriptor, &byte, 1, 0);
}

static void prepare_sigtimedwait(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static long wait_sigtimedwait(int64_t started) {
    (void)started;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    struct timespec timeout = victim_timespec(asked);
    return sigtimedwait(&set, NULL, &timeout);
}

static struct sockaddr_un address;
static socklen_t address_length = sizeof address;

static void connect_once(void) {
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection, (struct sockaddr *)&address, address_length) != 0) victim_unable("connect: %s", strerror(errno));
    close(connection);
}

static void prepare_accept(void) {
    descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Without a path the kernel chooses an abstract address: nothing to clean up.
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    if (bind(descriptor, (struct sockaddr *)&any, sizeof any.sun_family) != 0 || listen(descriptor, 4) != 0)
        victim_unable("no listener: %s", strerror(errno));
    getsockname(descriptor, (struct sockaddr *)&address, &address_length);
    start_waker(connect_once);
}

static long wait_accept(int64_t started) {
    wake_later(started);
    int connection = accept(descriptor, NULL, NULL);
    if (connection < 0) return -1;
    close(connection);
    return 1;
}

static void write_byte(void) {
    if (write(other_end, "x", 1) != 1) victim_unable("write: %s", strerror(errno));
}

static void prepare_read(void) {
    int pair[2];
    if (pipe(pair) != 0) victim_unable("pipe: %s", strerror(errno));
    descriptor = pair[0];
    other_end = pair[1];
    start_waker(write_byte);
}

static long wait_read(int64_t started) {
    wake_later(started);
    char byte;
    return read(descriptor, &byte, 1);
}

static const struct mode {
    const char *name;
    void (*prepare)(void);
    long (*wait)(int64_t started);
    long result;  // what the wait returns when all is well; -1 means with `error` in errno
    int error;
    int64_t early;  // how much earlier than asked it may end, because the kernel counts it in ticks of the clock
} modes[] = {
    {"epoll", prepare_epoll, wait_epoll, 0, 0, 0},
    {"epoll-infinite", prepare_epoll_infinite, wait_epoll_infinite, 1, 0, 0},
    {"poll", prepare_quiet_descriptor, wait_poll, 0, 0, 0},
    {"ppoll", prepare_ppoll, wait_ppoll, 0, 0, 0},
    {"select", prepare_quiet_descriptor, wait_select, 0, 0, 0},
    {"nanosleep", NULL, wait_nanosleep, 0, 0, 0},
    {"clock-nanosleep-absolute", NULL, wait_clock_nanosleep_absolute, 0, 0, 0},
    {"futex", prepare_futex, wait_futex, -1, ETIMEDOUT, 0},
    {"futex-wait", NULL, wait_futex_wait, -1, ETIMEDOUT, 0},
    {"recv-timeout", prepare_recv_timeout, wait_recv_timeout, -1, EAGAIN, 10 * VICTIM_MILLISECOND},
    {"sigtimedwait", prepare_sigtimedwait, wait_sigtimedwait, -1, EAGAIN, 0},
    {"accept", prepare_accept, wait_accept, 1, 0, 0},
    {"read", prepare_read, wait_read, 1, 0, 0},
};

int main(int count, char **arguments) {
    victim_start();
    const struct mode *mode = NULL;
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(arguments[1], modes[i].name) == 0) mode = &modes[i];
    if (!mode) victim_unable("usage: waits MODE [MILLISECONDS]");
    if (count > 2) milliseconds = atoi(arguments[2]);
    if (milliseconds < 1) victim_unable("not a number of milliseconds: %s", arguments[2]);
    asked = milliseconds * VICTIM_MILLISECOND;

    victim_resolver();
    if (mode->prepare) mode->prepare();
    victim_ready("%d", getpid());

    uint64_t rounds = 0;
    while (!victim_stopping) {
        int64_t started = victim_now();
        errno = VICTIM_ERRNO;
        long result = mode->wait(started);
        int error = errno;
        if (victim_stopping) break;
        if (result != mode->result) victim_violation("%s returned %ld: %s", mode->name, result, strerror(error));
        if (result == -1 && error != mode->error) victim_violation("%s failed: %s", mode->name, strerror(error));
        if (result != -1 && error != VICTIM_ERRNO) victim_violation("%s succeeded but changed errno to %d", mode->name, error);
        victim_check_time(mode->name, started, asked, mode->early);
        rounds++;
    }
    victim_ok(rounds);
}
