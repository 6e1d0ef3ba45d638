// libunwind's remote unwinder. Its functions are macros that paste the architecture in, which Swift cannot import.
#pragma once
#include <libunwind.h>

unw_addr_space_t clibunwind_create(unw_accessors_t *accessors);
void clibunwind_destroy(unw_addr_space_t space);
int clibunwind_init(unw_cursor_t *cursor, unw_addr_space_t space, void *argument);
int clibunwind_step(unw_cursor_t *cursor);
int clibunwind_register(unw_cursor_t *cursor, int number, unw_word_t *value);
int clibunwind_is_signal_frame(unw_cursor_t *cursor);
int clibunwind_procedure(unw_cursor_t *cursor, unw_proc_info_t *info);

/// Finds the entry of `ip` in a binary-search table (.eh_frame_hdr) that lies in the target's memory.
int clibunwind_search_table(
    unw_addr_space_t space, unw_word_t ip, unw_word_t start, unw_word_t end, unw_word_t segment_base,
    unw_word_t table, unw_word_t words, unw_proc_info_t *info, int need_unwind_info, void *argument);
