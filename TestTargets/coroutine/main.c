// The main thread on a stack that isn't its own: a coroutine on 256 KiB from mmap (or malloc), waiting in poll. What belongs
// to that memory, and who else uses it, only the program knows.
//
// usage: coroutine [mmap|malloc]

#include "victim.h"

#include <sys/mman.h>
#include <ucontext.h>

enum { STACK = 256 * 1024 };

static ucontext_t outside, inside;
static uint64_t rounds;

static void wait_rounds(void) {
    victim_ready("%d", getpid());
    for (; !victim_stopping; rounds++) victim_wait_poll(200);
    // Back to the stack of the thread, which must still be what it was.
    swapcontext(&inside, &outside);
}

int main(int count, char **arguments) {
    victim_start();
    victim_resolver();
    bool mapped = count < 2 || strcmp(arguments[1], "mmap") == 0;
    void *stack = mapped ? mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : malloc(STACK);
    if (!stack || stack == MAP_FAILED) victim_unable("no stack: %s", strerror(errno));
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = STACK;
    inside.uc_link = &outside;
    volatile uint64_t canary = UINT64_C(0x5ca1ab1e0ddba11);
    makecontext(&inside, wait_rounds, 0);
    swapcontext(&outside, &inside);
    if (canary != UINT64_C(0x5ca1ab1e0ddba11)) victim_violation("the stack of the thread changed meanwhile");
    victim_ok(rounds);
}
