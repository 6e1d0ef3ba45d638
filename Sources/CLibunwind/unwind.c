#include "clibunwind.h"

#include <endian.h>
#include <string.h>

// Exported for perf(1), which unwinds samples the same way, but declared in no public header.
extern int UNW_OBJ(dwarf_search_unwind_table)(
    unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);

#if defined(__x86_64__)
// The static library wants this for unw_resume, which unwinding another process never calls.
__attribute__((weak, visibility("hidden"))) int _Ux86_64_setcontext(const void *context) {
    (void)context;
    return -1;
}
#endif

unw_addr_space_t clibunwind_create(unw_accessors_t *accessors) { return unw_create_addr_space(accessors, __BYTE_ORDER); }

void clibunwind_destroy(unw_addr_space_t space) { unw_destroy_addr_space(space); }

int clibunwind_init(unw_cursor_t *cursor, unw_addr_space_t space, void *argument) {
    return unw_init_remote(cursor, space, argument);
}

int clibunwind_step(unw_cursor_t *cursor) { return unw_step(cursor); }

int clibunwind_register(unw_cursor_t *cursor, int number, unw_word_t *value) { return unw_get_reg(cursor, number, value); }

int clibunwind_is_signal_frame(unw_cursor_t *cursor) { return unw_is_signal_frame(cursor); }

int clibunwind_procedure(unw_cursor_t *cursor, unw_proc_info_t *info) { return unw_get_proc_info(cursor, info); }

int clibunwind_search_table(
    unw_addr_space_t space, unw_word_t ip, unw_word_t start, unw_word_t end, unw_word_t segment_base,
    unw_word_t table, unw_word_t words, unw_proc_info_t *info, int need_unwind_info, void *argument) {
    unw_dyn_info_t module;
    memset(&module, 0, sizeof module);
    module.format = UNW_INFO_FORMAT_REMOTE_TABLE;
    module.start_ip = start;
    module.end_ip = end;
    module.u.rti.segbase = segment_base;
    module.u.rti.table_data = table;
    module.u.rti.table_len = words;
    return UNW_OBJ(dwarf_search_unwind_table)(space, ip, &module, info, need_unwind_info, argument);
}
