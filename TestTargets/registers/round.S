// Everything a program may have in its registers while it is in a system call, at once: a leaf function that makes the call by
// itself, so that no calling convention allows anybody to change anything but rax, rcx and r11.
//
// Between the loads and the stores only instructions that leave the flags alone are used, and nothing is pushed: the red
// zone below rsp is in use as well.

        .text
        .globl round_trip
        .hidden round_trip
        .type round_trip, @function
        .p2align 4
round_trip:
        .cfi_startproc
        .irp register, rbx, rbp, r12, r13, r14, r15
        push %\register
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \register, 0
        .endr
        stmxcsr saved_mxcsr(%rip)
        fnstcw saved_x87_control(%rip)

        // Chosen here because a comparison would change the flags later.
        mov vector_level(%rip), %eax
        lea load_xmm(%rip), %rcx
        lea store_xmm(%rip), %rdx
        cmp $1, %eax
        jb 1f
        lea load_ymm(%rip), %rcx
        lea store_ymm(%rip), %rdx
        je 1f
        lea load_zmm(%rip), %rcx
        lea store_zmm(%rip), %rdx
1:      mov %rdx, store_vectors(%rip)

        push loaded+128(%rip)
        .cfi_adjust_cfa_offset 8
        popfq
        .cfi_adjust_cfa_offset -8
        jmp *%rcx

load_xmm:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movdqu loaded+384+64*\n(%rip), %xmm\n
        .endr
        jmp 2f
load_ymm:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovdqu loaded+384+64*\n(%rip), %ymm\n
        .endr
        jmp 2f
load_zmm:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovdqu64 loaded+384+64*\n(%rip), %zmm\n
        .endr
        .irp n, 0,1,2,3,4,5,6,7
        kmovw loaded+288+8*\n(%rip), %k\n
        .endr
2:
        fldcw loaded+140(%rip)
        fldt loaded+144(%rip)
        ldmxcsr loaded+136(%rip)

        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        mov loaded+160+8*\n(%rip), %rax
        mov %rax, -128+8*\n(%rsp)
        .endr

        mov %rsp, loaded+8*4(%rip)
        mov loaded+8*0(%rip), %rax
        mov loaded+8*2(%rip), %rdx
        mov loaded+8*3(%rip), %rbx
        mov loaded+8*5(%rip), %rbp
        mov loaded+8*6(%rip), %rsi
        mov loaded+8*7(%rip), %rdi
        mov loaded+8*8(%rip), %r8
        mov loaded+8*9(%rip), %r9
        mov loaded+8*10(%rip), %r10
        mov loaded+8*12(%rip), %r12
        mov loaded+8*13(%rip), %r13
        mov loaded+8*14(%rip), %r14
        mov loaded+8*15(%rip), %r15
        syscall
        mov %rax, stored+8*0(%rip)
        mov %rdx, stored+8*2(%rip)
        mov %rbx, stored+8*3(%rip)
        mov %rsp, stored+8*4(%rip)
        mov %rbp, stored+8*5(%rip)
        mov %rsi, stored+8*6(%rip)
        mov %rdi, stored+8*7(%rip)
        mov %r8, stored+8*8(%rip)
        mov %r9, stored+8*9(%rip)
        mov %r10, stored+8*10(%rip)
        mov %r12, stored+8*12(%rip)
        mov %r13, stored+8*13(%rip)
        mov %r14, stored+8*14(%rip)
        mov %r15, stored+8*15(%rip)

        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        mov -128+8*\n(%rsp), %rax
        mov %rax, stored+160+8*\n(%rip)
        .endr
        // The red zone is copied: now there may be pushes.
        pushfq
        .cfi_adjust_cfa_offset 8
        pop stored+128(%rip)
        .cfi_adjust_cfa_offset -8
        cld

        stmxcsr stored+136(%rip)
        fnstcw stored+140(%rip)
        fstpt stored+144(%rip)
        jmp *store_vectors(%rip)
store_xmm:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movdqu %xmm\n, stored+384+64*\n(%rip)
        .endr
        jmp 3f
store_ymm:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovdqu %ymm\n, stored+384+64*\n(%rip)
        .endr
        vzeroupper
        jmp 3f
store_zmm:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovdqu64 %zmm\n, stored+384+64*\n(%rip)
        .endr
        .irp n, 0,1,2,3,4,5,6,7
        kmovw %k\n, stored+288+8*\n(%rip)
        .endr
        vzeroupper
3:
        ldmxcsr saved_mxcsr(%rip)
        fldcw saved_x87_control(%rip)
        .irp register, r15, r14, r13, r12, rbp, rbx
        pop %\register
        .cfi_adjust_cfa_offset -8
        .cfi_restore \register
        .endr
        ret
        .cfi_endproc
        .size round_trip, . - round_trip

        .bss
        .p2align 3
store_vectors:
        .skip 8
saved_mxcsr:
        .skip 4
saved_x87_control:
        .skip 2

        .section .note.GNU-stack, "", @progbits
