import Glibc

/// Starts a program with no signal blocked. Threads that run tests have nearly all of them blocked, and children inherit that.
func withoutBlockedSignals<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
    var none = sigset_t()
    var before = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return try body()
}

/// Writes to a program that may have ended: that fails, and does not end us too.
func writingToPipe<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) {
    var broken = sigset_t()
    var before = sigset_t()
    sigemptyset(&broken)
    sigaddset(&broken, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &broken, &before)
    defer {
        // It came for this thread, if it came.
        var now = timespec()
        sigtimedwait(&broken, nil, &now)
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }
    try body()
}
