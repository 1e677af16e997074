import { ConflictException, Injectable, NotFoundException } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { RocketMQTemplate } from 'nestjs-rocketmq';
import { Repository } from 'typeorm';
import { PaymentEvent, type PaymentCompleted } from '../contracts/payment-events.js';
import { Payment } from './payment.entity.js';

@Injectable()
export class PaymentService {
  constructor(
    @InjectRepository(Payment) private readonly payments: Repository<Payment>,
    private readonly template: RocketMQTemplate,
  ) {}

  /**
   * The other way to keep database and broker together, a transactional message: the broker stores the message but
   * shows it to nobody (a half message), then the local transaction runs, then the broker is told how it ended.
   *
   * If this process dies in between, the broker asks any instance what became of it. There is nothing to write for
   * that: the library notes the transaction in its own table, inside of it, and answers from there.
   */
  async pay(orderId: string): Promise<Payment> {
    const { amount } = await this.due(orderId);
    const { result } = await this.template.sendInTransaction(
      PaymentEvent.completed,
      { orderId, amount } satisfies PaymentCompleted,
      async (tx) => {
        // Looked at a moment ago, but only this update decides: two requests may be here at the same time.
        const paid = await tx.update(Payment, { orderId, status: 'due' }, { status: 'paid' });
        if (paid.affected !== 1)
          throw new ConflictException(`Order ${orderId} was paid or cancelled just now.`);
        return tx.findOneByOrFail(Payment, { orderId });
      },
      { keys: orderId },
    );
    return result;
  }

  private async due(orderId: string): Promise<Payment> {
    const payment = await this.payments.findOneBy({ orderId });
    if (!payment) {
      throw new NotFoundException(
        `Nothing to pay for order ${orderId}: unknown, or its goods are not reserved yet.`,
      );
    }
    if (payment.status !== 'due') {
      throw new ConflictException(`The payment of order ${orderId} is ${payment.status}, not due.`);
    }
    return payment;
  }
}
