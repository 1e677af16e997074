import { Controller, HttpCode, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Payment } from './payment.entity.js';
import { PaymentService } from './payment.service.js';

@Controller('orders/:id/pay')
@ApiTags('payment')
export class PaymentController {
  constructor(private readonly payments: PaymentService) {}

  /** 200 means: the money is taken. The order hears of it by message, a moment later. */
  @Post()
  @HttpCode(200)
  @ApiOperation({ summary: 'Pay for an order whose goods are reserved.' })
  @ApiOkResponse({ type: Payment })
  pay(@Param('id', ParseUUIDPipe) id: string): Promise<Payment> {
    return this.payments.pay(id);
  }
}
