import { Controller, HttpCode, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import type { Payment } from './payment.entity.js';
import { PaymentService } from './payment.service.js';

@Controller('orders/:id/pay')
export class PaymentController {
  constructor(private readonly payments: PaymentService) {}

  /** 200 means: the money is taken. The order hears of it by message, a moment later. */
  @Post()
  @HttpCode(200)
  pay(@Param('id', ParseUUIDPipe) id: string): Promise<Payment> {
    return this.payments.pay(id);
  }
}
